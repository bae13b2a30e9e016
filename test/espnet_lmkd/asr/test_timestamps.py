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


@pytest.fixture
def known(build_model, monkeypatch):
    """Return a model, and a function that sets its ten frames by a channel each.

    Frames of channel 1 weigh 1 and those of 0 nothing; channel n is token n of CTC.
    """
    model = build_model(decoder="lmkd_cif", ctc_weight=0.3).eval()
    integrator = model.decoder.integrator
    with torch.no_grad():
        for parameter in (*integrator.parameters(), *model.ctc.parameters()):
            parameter.zero_()
        integrator.conv.weight[0, 1, 1] = 1.0  # of the frame itself
        integrator.linear.weight[0, 0] = 400.0
        integrator.linear.bias.fill_(-200.0)  # exactly 0 and 1 in float32
        model.ctc.ctc_lo.weight.fill_diagonal_(30.0)

    def set_frames(channels):
        frames = torch.nn.functional.one_hot(torch.tensor([channels]), 16).float()
        lengths = torch.tensor([len(channels)])
        monkeypatch.setattr(model, "encode", lambda *speech: (frames, lengths))

    return model, set_frames


def test_tokens_end_with_the_frames_that_fire(known, speech):
    model, set_frames = known
    set_frames([0, 0, 1, 0, 1, 0, 0, 1, 0, 1])  # the last one is of eos
    times, weights = align_tokens(model, speech, TOKENS, "cif")
    torch.testing.assert_close(
        times, torch.tensor([[0.0, 3.0], [3.0, 5.0], [5.0, 8.0]])
    )
    torch.testing.assert_close(weights, torch.tensor([0.0, 0, 1, 0, 1, 0, 0, 1, 0, 1]))
    # Three of them for a token and eos: it ends with half of the second.
    set_frames([0, 1, 0, 1, 0, 0, 1, 0, 0, 0])
    times, _ = align_tokens(model, speech, TOKENS[:1], "cif")
    torch.testing.assert_close(times, torch.tensor([[0.0, 3.5]]))
    assert in_seconds(Alignment(times, weights), ["a"], 0.4) == [Timed("a", 0.0, 0.14)]


def test_ctc_tokens_are_their_frames(known, speech):
    model, set_frames = known
    set_frames([0, 2, 2, 0, 5, 0, 0, 3, 3, 3])
    times, weights = align_tokens(model, speech, TOKENS, "ctc")
    assert times.tolist() == [[1, 3], [4, 5], [7, 10]]
    torch.testing.assert_close(weights, torch.tensor([0.0, 1, 1, 0, 1, 0, 0, 1, 1, 1]))


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
