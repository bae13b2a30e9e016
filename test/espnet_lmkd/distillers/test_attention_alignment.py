"""The attention inside CTC's windows against a loop over tokens and frames."""

import math

import pytest
import torch
from aligned_speech import BLANK, CLASSES, EMITTING, PATHS, TEXTS, aligned_speech

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.attention_alignment import AttentionAlignmentDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(CLASSES, encoder_size=4, num_layers=2, sos=8, eos=8, blank=BLANK)
FRAMES = [len(path) for path in PATHS]


def make_taps():
    """Two heads; an utterance's padded frames are not attended to."""
    generator = torch.Generator().manual_seed(1)
    attention = torch.rand(3, 4, 2, max(FRAMES), generator=generator)
    for index, length in enumerate(FRAMES):
        attention[index, ..., length:] = 0.0
    attention = attention / attention.sum(3, keepdim=True)
    taps = aligned_speech()
    lengths = taps["text"].lengths + 1
    return {**taps, "decoder_attention": Padded(attention.requires_grad_(), lengths)}


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_the_loss_is_that_of_a_loop(radius):
    taps = make_taps()
    losses, stats = AttentionAlignmentDistiller(STUDENT, radius)(taps, {})
    heads = taps["decoder_attention"].data.tolist()
    total = 0.0
    for index, emitting in enumerate(EMITTING):
        expected = 0.0
        for u, frames in enumerate(emitting):
            near = {t + d for t in frames for d in range(-radius, radius + 1)}
            at = [t for t in range(FRAMES[index]) if t in near]
            inside = sum(sum(head[t] for t in at) for head in heads[index][u]) / 2
            expected -= math.log(inside + 1e-6)
            total += inside
        assert losses[index].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert stats["inside"].item() == pytest.approx(total / sum(map(len, TEXTS)))


def test_ctc_learns_nothing():
    taps = make_taps()
    AttentionAlignmentDistiller(STUDENT)(taps, {})[0].sum().backward()
    assert taps["ctc_logits"].data.grad is None
    assert taps["decoder_attention"].data.grad.any()


def test_a_text_that_does_not_fit_its_frames_is_counted():
    taps = make_taps()
    taps["text"].data[1, :2], taps["ctc_logits"].lengths[1] = 2, 2  # wants a blank
    losses, stats = AttentionAlignmentDistiller(STUDENT)(taps, {})
    assert losses[1] == 0 and (losses[[0, 2]] > 0).all()
    assert stats["tokens_without_alignment"] == 2


def test_a_negative_radius_is_refused():
    with pytest.raises(InputError, match="radius -1 is below 0"):
        AttentionAlignmentDistiller(STUDENT, radius=-1)
