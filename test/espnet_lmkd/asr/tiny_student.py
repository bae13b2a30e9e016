"""What the tiny student of these tests is made of, its batch, and a training step."""

import torch

DECODER = dict(attention_heads=2, linear_units=16, num_blocks=1)
INTERAED = dict(
    type="interaed", weight=0.5, conf=dict(layers=[2], decoder_conf=DECODER)
)
TOKENS = ["<blank>", "<unk>", *"abcdefgh", "<sos/eos>"]

PATH = ("teacher_path", "teacher_path_topk_ids", "teacher_path_topk_log_probs")


def make_batch():
    generator = torch.Generator().manual_seed(1)
    text = torch.tensor([[2, 3, 4, 5], [6, 7, -1, -1], [2, 2, 3, -1]])
    lengths = torch.tensor([4, 2, 3])
    ids = torch.randint(2, 10, (3, 4, 3), generator=generator)
    return dict(
        speech=torch.randn(3, 60, 10, generator=generator),
        speech_lengths=torch.tensor([60, 41, 50]),
        text=text,
        text_lengths=lengths,
        utt_id=["utt_a", "utt_b", "utt_c"],
        teacher_topk_ids=ids.masked_fill((text < 0)[..., None], -1),
        teacher_topk_ids_lengths=lengths.clone(),
        teacher_topk_log_probs=torch.randn(3, 4, 3, generator=generator) - 3,
        teacher_topk_log_probs_lengths=lengths.clone(),
    )


def add_path(model, batch, more_frames=0):
    """Add targets of a teacher that emits all labels at once, on the last frame."""
    _, frames = model.encode(batch["speech"], batch["speech_lengths"])
    sizes = zip((frames + more_frames).tolist(), batch["text_lengths"].tolist())
    path = [
        torch.tensor([(t, 0) for t in range(T)] + [(T - 1, u + 1) for u in range(L)])
        for T, L in sizes
    ]
    lengths = torch.tensor([len(nodes) for nodes in path])
    ids = [torch.arange(6).view(1, 6).repeat(n, 1) for n in lengths]
    log_probs = [torch.full((n, 6), -2.0) for n in lengths]
    for name, rows in zip(PATH, (path, ids, log_probs)):
        # As ESPnet's collate function pads.
        value = 0.0 if rows[0].is_floating_point() else -1
        padded = torch.nn.utils.rnn.pad_sequence(rows, True, padding_value=value)
        batch.update({name: padded, f"{name}_lengths": lengths.clone()})


def run(model, batch, seed=0):
    torch.manual_seed(seed)
    batch = {k: v.clone() if torch.is_tensor(v) else v for k, v in batch.items()}
    loss, stats, weight = model(**batch)
    model.zero_grad()
    loss.sum().backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return loss.detach(), stats, gradients
