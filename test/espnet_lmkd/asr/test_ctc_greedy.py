"""Greedy search is judged by a plain loop over ESPnet's own log-probabilities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_experiment import INTERAED

from espnet_lmkd.asr.ctc_greedy import collapse, ctc_greedy
from espnet_lmkd.errors import InputError


@given(st.lists(st.integers(0, 3), max_size=20))
def test_collapse_is_the_plain_loop(path):
    expected, previous = [], None
    for symbol in path:
        if symbol != previous and symbol not in (0, 3):
            expected.append(symbol)
        previous = symbol
    assert collapse(path, {0, 3}) == expected


@pytest.mark.parametrize(
    "encoder_conf",
    [{}, {"interctc_layer_idx": [2], "interctc_use_conditioning": True}],
    ids=["plain", "self-conditioned"],
)
def test_is_the_likeliest_path(build_model, encoder_conf):
    interctc = 0.5 if encoder_conf else 0.0
    model = build_model(encoder_conf=encoder_conf, interctc_weight=interctc).eval()
    torch.nn.init.normal_(model.ctc.ctc_lo.weight, std=5.0)
    frames = torch.randn(30, 10, generator=torch.Generator().manual_seed(0))
    speech = 9 * frames.repeat_interleave(6, dim=0)
    token_ids, score = ctc_greedy(model, speech)

    with torch.no_grad():
        encoder_out, _ = model.encode(speech[None], torch.tensor([180]))
        if encoder_conf:
            encoder_out = encoder_out[0]
        log_probs = torch.log_softmax(model.ctc.ctc_lo(encoder_out), -1)[0]
    expected, total, previous = [], 0.0, None
    for frame in log_probs:
        best = max(range(len(frame)), key=lambda v: float(frame[v]))
        total += float(frame[best])
        if best != previous and best not in (0, model.eos):
            expected.append(best)
        previous = best
    assert token_ids == expected and len(set(expected)) > 2
    assert score == pytest.approx(total, rel=1e-5)


def test_distillers_do_not_run(build_model):
    model = build_model(distillers=[INTERAED]).eval()
    for entry in model.distillers.values():
        entry.register_forward_hook(lambda *_: pytest.fail("a distiller ran"))
    ctc_greedy(model, torch.randn(60, 10))


def test_needs_ctc(build_model):
    model = build_model(decoder="transformer", ctc_weight=0.0)
    with pytest.raises(InputError, match="search: beam"):
        ctc_greedy(model, torch.randn(60, 10))
