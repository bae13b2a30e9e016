"""Bridges against plain loops over single utterances."""

from itertools import groupby

import pytest
import torch
from tiny_llm import write_student

from espnet_lmkd.alignment.runs import merge_runs
from espnet_lmkd.asr.speech_prompt.bridge import build_bridge
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

LENGTHS = torch.tensor([9, 1, 4, 8])


@pytest.fixture
def frames():
    data = torch.randn(4, 9, 6, generator=torch.Generator().manual_seed(0))
    padding = ~Padded(data, LENGTHS).mask
    return Padded(data.masked_fill(padding.unsqueeze(2), 1e4), LENGTHS)


class FakeCTC(torch.nn.Module):
    """Labels by the sign of the first value: 1 and blank (0)."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def argmax(self, frames):
        return (frames[..., 0] > 0).long()


def build(name, **conf):
    torch.manual_seed(1)
    bridge = build_bridge(name, 6, 5, conf).eval()
    if name == "ctc":
        bridge.use_ctc(FakeCTC(), blank=0)
    return bridge


@pytest.mark.parametrize("num_convs", [0, 1, 2])
def test_convolutions(frames, num_convs):
    bridge = build("conv", num_convs=num_convs)
    out = bridge(frames)
    for row, length, speech, n in zip(out.data, out.lengths, frames.data, LENGTHS):
        speech = speech[:n].T
        for conv in bridge.convs:
            steps = -(-speech.shape[1] // 2)
            padded = torch.cat([torch.zeros(6, 1), speech, torch.zeros(6, 2)], dim=1)
            speech = torch.stack(
                [
                    (conv.weight * padded[:, 2 * t : 2 * t + 4]).sum((1, 2)) + conv.bias
                    for t in range(steps)
                ],
                dim=1,
            )
            speech = torch.nn.functional.gelu(speech)
        expected = bridge.linear(speech.T)
        assert length == len(expected)
        torch.testing.assert_close(row[:length], expected)


@pytest.mark.parametrize("dropped", [None, 0, 1])
def test_runs(dropped):
    generator = torch.Generator().manual_seed(2)
    data = torch.randn(6, 20, 3, generator=generator)
    labels = torch.randint(0, 3, (6, 20), generator=generator)
    lengths = torch.tensor([20, 13, 1, 2, 20, 7])
    labels[4] = 1  # one run, or nothing at all
    out = merge_runs(Padded(data, lengths), labels, dropped)
    for row, count, frames, path, n in zip(
        out.data, out.lengths, data, labels, lengths
    ):
        runs, start = [], 0
        for label, run in groupby(path[:n].tolist()):
            stop = start + len(list(run))
            if label != dropped:
                runs.append(frames[start:stop].mean(0))
            start = stop
        assert count == len(runs)
        if runs:
            torch.testing.assert_close(row[:count], torch.stack(runs))


def test_no_run_at_all_has_a_gradient_path():
    bridge = build("ctc", keep_blank=False)
    frames = torch.full((2, 3, 6), -1.0, requires_grad=True)
    out = bridge(Padded(frames, torch.tensor([3, 2])))
    assert out.data.shape == (2, 0, 5) and out.lengths.tolist() == [0, 0]
    out.data.sum().backward()
    assert frames.grad.abs().sum() == 0 and bridge.linear.weight.grad is not None


def test_ctc_layer_stays_the_recognisers():
    bridge = build("ctc")
    assert list(bridge.state_dict()) == ["linear.weight", "linear.bias"]
    bridge = build_bridge("ctc", 6, 5, {})
    with pytest.raises(InputError, match="ctc_weight above 0"):
        bridge(Padded(torch.zeros(1, 2, 6), torch.tensor([2])))


def test_cif_makes_a_vector_a_token_in_training(frames):
    bridge = build("cif", quantity_weight=0.5)
    tokens = torch.tensor([3, 1, 0, 5])
    out = bridge(frames, tokens)
    assert out.lengths.tolist() == tokens.tolist() and out.data.shape == (4, 5, 5)
    weights = bridge.integrator(frames).weights.detach()
    expected = [abs(float(w.sum()) - n) for w, n in zip(weights, tokens.tolist())]
    assert bridge.quantity_losses.tolist() == pytest.approx(expected, rel=1e-5)
    fired = bridge(frames)
    assert fired.lengths.tolist() == [int(w.sum() + 0.5) for w in weights]


@pytest.mark.parametrize("name", ["conv", "ctc", "cif"])
def test_an_utterance_does_not_see_its_batch(frames, name):
    bridge = build(name)
    together = bridge(frames)
    for index, length in enumerate(LENGTHS.tolist()):
        alone = bridge(
            Padded(frames.data[index : index + 1, :length], LENGTHS[index : index + 1])
        )
        n = int(alone.lengths)
        assert together.lengths[index] == n
        torch.testing.assert_close(together.data[index, :n], alone.data[0, :n])


def test_wrong_options_are_named():
    with pytest.raises(
        InputError, match=r"unknown bridge 'mlp'.*'conv', 'ctc', 'cif', 'po"
    ):
        build("mlp")
    with pytest.raises(InputError, match=r"no option \['stride'\]; .*num_convs"):
        build("conv", stride=2)


def test_vectors_begin_as_large_as_embeddings():
    bridge = build_bridge("conv", 64, 128, {"num_convs": 0})
    bridge.speak_like(0.2 * torch.randn(1000, 128), read=None)
    vectors = bridge(Padded(torch.randn(4, 50, 64), torch.full((4,), 50))).data
    assert float(vectors.std()) == pytest.approx(0.2, rel=0.1)


def test_posteriors_are_mixtures_of_what_the_tokens_say(frames, tmp_path):
    student, weight, bias = write_student(tmp_path)
    bridge = build_bridge("posterior", 6, 5, {"student": student, "text_case": "lower"})
    embeddings, read = torch.randn(9, 5), {" the": [3], "cat": [4, 8], "": []}
    bridge.speak_like(embeddings, read.__getitem__)
    spoken = torch.stack([embeddings[3], (embeddings[4] + embeddings[8]) / 2])
    again = build_bridge("posterior", 6, 5, {"student": "gone", **bridge.config()})
    again.load_state_dict(bridge.state_dict())
    out = again(frames)
    for row, count, speech, n in zip(out.data, out.lengths, frames.data, LENGTHS):
        probs = (speech[:n] @ weight.T + bias).softmax(1)
        expected, start = [], 0
        for label, run in groupby(probs.argmax(1).tolist()):
            stop = start + len(list(run))
            heard = probs[start:stop, 1:].mean(0)
            heard = heard / heard.sum()  # the end of a sentence says nothing
            if label:
                expected.append(heard[:2] @ spoken)
            start = stop
        assert count == len(expected)
        torch.testing.assert_close(row[:count], torch.stack(expected))
    trained = {name for name, p in bridge.named_parameters() if p.requires_grad}
    assert trained == {"embeddings", "linear.weight", "linear.bias"}


def test_students_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(InputError, match="gone.pth: no such file; train a CTC student"):
        build("posterior", student=tmp_path / "gone.pth")
    student, *_ = write_student(tmp_path)
    with pytest.raises(InputError, match="frames of 6 values, this encoder 7"):
        build_bridge("posterior", 7, 5, {"student": student})
    with pytest.raises(InputError, match="text_case 'upper'; choose one of"):
        build("posterior", student=student, text_case="upper")
    student, *_ = write_student(tmp_path, layer="decoder")
    with pytest.raises(InputError, match="has no CTC layer"):
        build("posterior", student=student)
    student, *_ = write_student(tmp_path, token_type="hugging_face")
    with pytest.raises(InputError, match="has token_type hugging_face; one with bpe"):
        build("posterior", student=student)
