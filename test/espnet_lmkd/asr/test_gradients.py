"""Judge: the gradient that a backward pass leaves on the encoder."""

import pytest
import torch
from tiny_student import INTERAED, run

from espnet_lmkd.asr.gradients import gradient_norms, markdown


def still(build_model, **entry):
    entry = {**INTERAED, **entry}
    return build_model(distillers=[entry], encoder_conf=STILL)


STILL = dict(dropout_rate=0.0, positional_dropout_rate=0.0, attention_dropout_rate=0.0)


def test_terms_add_up_to_the_gradient_of_the_loss(build_model, batch):
    model = still(build_model, conf={**INTERAED["conf"], "kd_weight": 1.0}).eval()
    asr, term = gradient_norms(model, [batch])
    loss, stats, gradients = run(model, batch)
    whole = torch.cat([g.flatten() for n, g in gradients.items() if "encoder." in n])
    squared = asr["norm"] ** 2 + term["norm"] ** 2
    squared += 2 * term["cosine"] * asr["norm"] * term["norm"]
    assert squared**0.5 == pytest.approx(whole.norm().item(), rel=1e-3)
    assert asr["loss"] + term["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert asr["cosine"] == pytest.approx(1.0, abs=1e-4) and asr["ratio"] == 1.0


def test_twice_the_weight_is_twice_the_norm(build_model, batch):
    rows = [
        gradient_norms(still(build_model, weight=weight).eval(), [batch, batch])[1]
        for weight in (0.5, 1.0)
    ]
    assert rows[1]["norm"] == pytest.approx(2 * rows[0]["norm"], rel=1e-3)
    assert rows[1]["cosine"] == pytest.approx(rows[0]["cosine"], abs=1e-3)
    assert "| interaed | 1 |" in markdown(rows)
