"""The drift of integrate-and-fire against a loop over tokens and frames."""

import pytest
import torch

from espnet_lmkd.alignment.ctc import ctc_align
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.cif_alignment import CIFAlignmentDistiller
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)


def make_taps(weights=None):
    generator = torch.Generator().manual_seed(0)
    frames, tokens = torch.tensor([12, 7]), torch.tensor([4, 2])
    if weights is None:
        weights = torch.rand(2, 12, generator=generator)
    return {
        "text": Padded(torch.tensor([[3, 5, 5, 7], [2, 8, -1, -1]]), tokens),
        "ctc_logits": Padded(4 * torch.randn(2, 12, 10, generator=generator), frames),
        "cif_weights": Padded(weights, frames),
    }


def test_loss_and_drift_are_those_of_a_loop():
    taps = make_taps()
    losses, stats = CIFAlignmentDistiller(STUDENT)(taps, {})
    text, logits = taps["text"], taps["ctc_logits"]
    positions, _ = ctc_align(logits.data, logits.lengths, text.data, text.lengths)
    drift = 0.0
    for index, count in enumerate(text.lengths.tolist()):
        length = int(logits.lengths[index])
        emitted = positions[index, :length].tolist()
        weights, expected = taps["cif_weights"].data[index].tolist(), 0.0
        for t in range(length):
            wanted = 1 / emitted.count(emitted[t]) if emitted[t] >= 0 else 0.0
            wanted = 1.0 if t == length - 1 and emitted[t] < 0 else wanted
            expected += (weights[t] - wanted) ** 2
        assert losses[index].item() == pytest.approx(expected, rel=1e-5)
        for u in range(count):
            at = [t for t in range(length) if emitted[t] == u]
            reached = [sum(weights[:t]) + weights[t] / 2 for t in at]
            drift += sum(abs(sum_ - u - 0.5) for sum_ in reached) / len(at)
    assert stats["drift"].item() == pytest.approx(drift / 6, rel=1e-5)


def test_weights_that_fire_where_ctc_has_its_tokens_cost_nothing():
    taps = make_taps()
    text, logits = taps["text"], taps["ctc_logits"]
    logits.data.zero_()
    logits.data[:, :, 0] = 9.0
    weights = torch.zeros(2, 12)
    for index, (length, count) in enumerate(zip((12, 7), text.lengths.tolist())):
        for u in range(count):  # a token every other frame, alone
            logits.data[index, 2 * u + 1, text.data[index, u]] = 99.0
            weights[index, 2 * u + 1] = 1.0
        weights[index, length - 1] = 1.0  # eos
    taps["cif_weights"] = Padded(weights, logits.lengths)
    losses, stats = CIFAlignmentDistiller(STUDENT)(taps, {})
    assert losses.tolist() == [0.0, 0.0] and stats["drift"] == 0


def test_the_ctc_layer_learns_nothing():
    taps = make_taps()
    for name in ("ctc_logits", "cif_weights"):
        taps[name].data.requires_grad_()
    CIFAlignmentDistiller(STUDENT)(taps, {})[0].sum().backward()
    assert taps["ctc_logits"].data.grad is None
    assert taps["cif_weights"].data.grad.any()
