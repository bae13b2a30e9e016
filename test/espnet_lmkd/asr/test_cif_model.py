"""A CIF recogniser as a whole, against the formulas of its paper."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, ctc_loss

from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

DISTILLERS = [
    dict(
        type="acoustic_contrastive",
        weight=2 / 3,
        conf=dict(target_size=6, num_negatives=None),
    ),
    dict(
        type="lm_embedding",
        weight=2 / 3 * 0.01 * 6,  # its mean over 6 values is the paper's sum
        conf=dict(target_size=6, source="decoder", normalize=False),
    ),
]


@pytest.fixture(scope="module")
def model(build_model):
    conf = dict(ctc_weight=1 / 3, lsm_weight=0.1, distillers=DISTILLERS)
    return build_model(decoder="lmkd_cif", **conf).eval()


@pytest.fixture
def cif_batch(batch):
    lengths = batch["text_lengths"] + 1  # with a row for eos
    batch = {name: value for name, value in batch.items() if "topk" not in name}
    batch["text_lengths"] = batch["text_lengths"].clone()
    hidden = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(3))
    return dict(batch, teacher_hidden=hidden, teacher_hidden_lengths=lengths)


def integrate(frames, weights, count):
    """Plain integrate-and-fire: every overlap of a frame's interval with a token's."""
    ends = (weights * count / weights.sum()).double().cumsum(0)
    vectors, start = torch.zeros(count, frames.shape[1], dtype=torch.double), 0.0
    for frame, end in zip(frames.double(), ends.tolist()):
        for token in range(count):
            overlap = min(end, token + 1) - max(start, token)
            vectors[token] += max(overlap, 0.0) * frame
        start = end
    return vectors.float()


def paper_sum(model, batch):
    """CE + 0.5 CTC + quantity + ACD + 0.01 LRD, summed over the batch."""
    frames, lengths = model.encode(batch["speech"], batch["speech_lengths"])
    contrastive, regression = (entry.distiller for entry in model.distillers.values())
    total, anchors, keys = 0.0, [], []
    for i, (n, t) in enumerate(zip(batch["text_lengths"].tolist(), lengths.tolist())):
        text = batch["text"][i, :n]
        log_probs = model.ctc.ctc_lo(frames[i, :t]).log_softmax(1)
        ctc = ctc_loss(
            log_probs[:, None], text[None], lengths[i, None], torch.tensor([n]),
            reduction="sum",
        )  # fmt: skip
        predictor = model.decoder.integrator
        padded = torch.nn.functional.pad(frames[i, :t], (0, 0, 1, 1))
        hidden = torch.stack(
            [
                torch.einsum("oik,ki->o", predictor.conv.weight, padded[k : k + 3])
                for k in range(t)
            ]
        )
        weights = predictor.linear((hidden + predictor.conv.bias).relu()).sigmoid()
        vectors = integrate(frames[i, :t], weights[:, 0], n + 1)
        seen = {}
        hook = model.decoder.output_layer.register_forward_hook(
            lambda module, inputs, out: seen.update(states=inputs[0][0])
        )
        tokens = torch.cat([torch.tensor([model.sos]), text])[None]
        logits = model.decoder._logits(
            vectors[None], Padded(tokens, torch.tensor([n + 1]))
        )[0]
        hook.remove()
        labels = torch.cat([text, torch.tensor([model.eos])])
        # ESPnet's smoothing gives the wrong classes 0.1 / (V - 1), torch's 0.1 / V, and
        # leaves out the targets' own entropy.
        smooth = torch.full_like(logits, 0.1 / (logits.shape[1] - 1))
        smooth.scatter_(1, labels[:, None], 0.9)
        ce = cross_entropy(logits, smooth, reduction="sum")
        ce = ce + (smooth * smooth.log()).sum()
        teacher = batch["teacher_hidden"][i, : n + 1]
        lrd = (regression.projector(seen["states"]) - teacher).square().sum()
        total = total + ce + 0.5 * ctc + (weights.sum() - n - 1).abs() + 0.01 * lrd
        anchors.append(contrastive.projector(vectors))
        keys.append(teacher)
    anchors, keys = torch.cat(anchors), torch.cat(keys)
    for index, anchor in enumerate(anchors):
        similarity = cosine_similarity(anchor[None], keys) / 0.02
        total = total - similarity.log_softmax(0)[index]
    return total


def test_loss_is_the_papers_sum_by_its_own_normaliser(model, cif_batch):
    # Theirs divides by the number of tokens, ESPnet by that of utterances; ESPnet's
    # convex mixture with CTC makes it 2/3 of theirs.
    loss, stats, _ = model(**cif_batch)
    expected = paper_sum(model, cif_batch) * 2 / 3 / 3
    torch.testing.assert_close(loss[0], expected.detach(), rtol=1e-4, atol=1e-3)
    assert {"loss_acoustic_contrastive", "loss_lm_embedding", "acc"} <= set(stats)


@pytest.mark.parametrize("distillers", [DISTILLERS, []])
def test_quantity_loss_is_logged(build_model, cif_batch, distillers):
    conf = dict(ctc_weight=1 / 3, distillers=distillers)
    model = build_model(decoder="lmkd_cif", **conf).eval()
    _, stats, _ = model(**cif_batch)
    frames = Padded(*model.encode(cif_batch["speech"], cif_batch["speech_lengths"]))
    weights = model.decoder.integrator(frames).weights
    wanted = (weights.sum(1) - cif_batch["text_lengths"] - 1).abs().mean()
    torch.testing.assert_close(stats["loss_quantity"], wanted.detach()[None])
    model.decoder.quantity_weight = 0.0
    without = model(**cif_batch)[1]
    torch.testing.assert_close(stats["loss_att"] - without["loss_att"], wanted[None])
    assert without["loss_quantity"] == stats["loss_quantity"]


def test_every_part_learns(model, cif_batch):
    model.zero_grad()
    model(**cif_batch)[0].backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert not unused


def test_rows_for_the_text_alone_will_do(model, cif_batch):
    short = dict(cif_batch, teacher_hidden_lengths=cif_batch["text_lengths"].clone())
    assert model(**short)[0] != model(**cif_batch)[0]


def test_a_student_without_fires_is_refused(build_model):
    with pytest.raises(InputError, match="needs a CIF student .* decoder is Trans"):
        build_model(decoder="transformer", ctc_weight=0.3, distillers=DISTILLERS[:1])
