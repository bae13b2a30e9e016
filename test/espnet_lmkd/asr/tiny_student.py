"""What the tiny student of these tests is made of, and a step of its training."""

import torch

DECODER = dict(attention_heads=2, linear_units=16, num_blocks=1)
INTERAED = dict(
    type="interaed", weight=0.5, conf=dict(layers=[2], decoder_conf=DECODER)
)
TOKENS = ["<blank>", "<unk>", *"abcdefgh", "<sos/eos>"]


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
