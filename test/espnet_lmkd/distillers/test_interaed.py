"""Decoders that are told where to listen against a loop over their attention."""

import pytest
import torch
from random_batch import FRAMES, STUDENT, TEXT, make_batch

from espnet_lmkd.alignment.ctc import ctc_align
from espnet_lmkd.distillers.interaed import InterAEDDistiller
from espnet_lmkd.errors import InputError

CONF = dict(attention_heads=2, linear_units=16, num_blocks=2)


def test_guidance_adds_what_attention_misses_of_the_windows():
    torch.manual_seed(0)
    guided = InterAEDDistiller(STUDENT, guide_weight=0.5, decoder_conf=CONF).eval()
    plain = InterAEDDistiller(STUDENT, decoder_conf=CONF).eval()
    plain.load_state_dict(guided.state_dict())
    student, teacher = make_batch(guided)
    more = guided(student, teacher)[0] - plain(student, teacher)[0]

    layers = [layer.src_attn.attn for layer in guided.decoders[0].decoders]
    attention = torch.cat(layers, 1).mean(1).tolist()  # of the pass before
    text, logits = student["text"], student["ctc_logits"]
    positions, aligned = ctc_align(
        logits.data, logits.lengths, text.data, text.lengths, STUDENT.blank
    )
    assert aligned.all()
    for index, (tokens, frames) in enumerate(zip(TEXT, FRAMES)):
        expected = 0.0
        for u in range(tokens):
            emitting = [t for t in range(frames) if positions[index, t] == u]
            near = [
                t for t in range(frames) if any(abs(t - at) <= 2 for at in emitting)
            ]
            inside = sum(attention[index][u][t] for t in near)
            expected -= 0.5 * torch.tensor(inside + 1e-6).log().item()
        assert more[index].item() == pytest.approx(expected, abs=1e-4)


def test_a_negative_guide_weight_is_refused():
    with pytest.raises(InputError, match="guide_weight -1 is below 0"):
        InterAEDDistiller(STUDENT, guide_weight=-1)
