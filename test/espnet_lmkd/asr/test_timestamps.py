import numpy as np
import pytest
import torch

from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.timestamps import Alignment, align_tokens, in_seconds
from espnet_lmkd.asr.words import Timed
from espnet_lmkd.errors import InputError

TOKENS = [2, 5, 3]


@pytest.fixture(scope="module")
def model(build_model):
    return build_model(decoder="lmkd_cif", ctc_weight=0.3).eval()


@pytest.fixture
def speech():
    return torch.randn(60, 10, generator=torch.Generator().manual_seed(0))


def test_fires_cut_the_weights_into_equal_parts(model, speech):
    times, weights = align_tokens(model, speech, TOKENS, "cif")
    assert times.shape == (3, 2) and times[0, 0] == 0
    sums = np.concatenate([[0], weights.double().cumsum(0)]) / float(weights.sum())
    frames = np.arange(len(sums))
    # Each token holds a quarter of the weight; the fourth is that of eos.
    for number, (start, end) in enumerate(times.tolist()):
        assert np.interp(start, frames, sums) == pytest.approx(number / 4, abs=1e-5)
        assert np.interp(end, frames, sums) == pytest.approx((number + 1) / 4, abs=1e-5)


@torch.no_grad()
def test_ctc_tokens_are_the_frames_that_emit_them(model, speech):
    times, weights = align_tokens(model, speech, TOKENS, "ctc")
    encoded, _ = model.encode(speech[None], torch.tensor([60]))
    probs = model.ctc.log_softmax(encoded)[0]
    torch.testing.assert_close(weights, 1 - probs[:, 0].exp())
    # No other place of the three tokens, each a run of frames, is more probable.
    frames = range(len(probs) + 1)

    def score(runs):
        total, label = 0.0, [0] * len(probs)
        for token, (start, end) in zip(TOKENS, runs):
            label[start:end] = [token] * (end - start)
        for frame, token in enumerate(label):
            total += float(probs[frame, token])
        return total

    best = score([(int(start), int(end)) for start, end in times])
    generator = np.random.default_rng(0)
    for _ in range(300):
        cuts = np.sort(generator.choice(frames, 6, replace=False))
        assert score(cuts.reshape(3, 2).tolist()) <= best + 1e-4


def test_frames_share_the_seconds():
    alignment = Alignment(torch.tensor([[0.0, 1.5], [2.0, 2.5]]), torch.zeros(5))
    timed = in_seconds(alignment, ["▁a", "b"], seconds=1.0)
    assert timed == [Timed("▁a", 0.0, 0.3), Timed("b", 0.4, 0.5)]


def test_a_model_without_the_part_is_refused(build_model, speech):
    with pytest.raises(InputError, match="needs a CIF student"):
        align_tokens(build_model(), speech, TOKENS, "cif")
    with pytest.raises(TooShortUttError, match="frames are too few for 90 tokens"):
        align_tokens(build_model().eval(), speech, [2, 3] * 45, "ctc")
