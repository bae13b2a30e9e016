"""Judge: the formula written as a loop over tokens in NumPy."""

import numpy as np
import pytest
import torch
from aligned_speech import EMITTING, TEXTS, aligned_speech

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.lm_embedding import LMEmbeddingDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(
    vocab_size=9, encoder_size=4, num_layers=2, sos=8, eos=8, decoder_size=5
)
WIDTH = 6


def distance_by_hand(kind, prediction, target):
    if kind == "cos":
        norms = np.linalg.norm(prediction) * np.linalg.norm(target)
        return 1 - prediction @ target / norms
    difference = prediction - target
    return np.mean(difference**2 if kind == "mse" else np.abs(difference))


def make(source, **options):
    torch.manual_seed(0)
    distiller = LMEmbeddingDistiller(
        STUDENT, target_size=WIDTH, source=source, **options
    )
    student = aligned_speech()
    if source == "decoder":
        student["decoder_states"] = Padded(
            torch.randn(3, 4, 5), student["text"].lengths + 1
        )
        del student["ctc_logits"]
    else:
        lengths = student["ctc_logits"].lengths
        student["encoder_out"] = Padded(torch.randn(3, 8, 4), lengths)
    hidden = Padded(torch.randn(3, 3, WIDTH), student["text"].lengths)
    return distiller, student, {"teacher_hidden": hidden}


def token_state(student, index, token):
    """s_u: row u of the decoder, or the mean of the frames that emit token u."""
    if "decoder_states" in student:
        return student["decoder_states"].data[index, token].numpy()
    frames = EMITTING[index][token]
    return student["encoder_out"].data[index].numpy()[frames].mean(0)


@pytest.mark.parametrize("source", ["decoder", "ctc"])
@pytest.mark.parametrize("distance", ["mse", "cos", "l1"])
@pytest.mark.parametrize("normalize", [True, False])
def test_against_the_formula(source, distance, normalize):
    distiller, student, teacher = make(source, distance=distance, normalize=normalize)
    weight, bias = (p.detach().numpy() for p in distiller.projector.parameters())
    wanted = np.zeros(3)
    for index, text in enumerate(TEXTS):
        for token in range(len(text)):
            e = teacher["teacher_hidden"].data[index, token].numpy()
            if normalize:
                e = (e - e.mean()) / np.sqrt(e.var() + 1e-5)
            prediction = weight @ token_state(student, index, token) + bias
            wanted[index] += distance_by_hand(distance, prediction, e)
    loss, stats = distiller(student, teacher)
    np.testing.assert_allclose(loss.detach(), wanted, rtol=1e-5)
    mean = wanted.sum() / sum(map(len, TEXTS))
    assert stats["distance"].item() == pytest.approx(mean, rel=1e-5)
    if distance == "cos":
        assert stats["cosine"].item() == pytest.approx(1 - mean, rel=1e-4)
    assert stats["tokens_without_targets"] == stats["tokens_without_alignment"] == 0


def test_the_best_prediction_costs_nothing():
    distiller, student, teacher = make("decoder")
    with torch.no_grad():
        distiller.projector.weight.zero_()
        distiller.projector.bias.copy_(torch.tensor([1.0, -1, 1, -1, 1, -1]))
    rows = 3.0 * distiller.projector.bias.detach() + 7.0  # LayerNorm undoes both
    same = Padded(rows.expand(3, 3, WIDTH), student["text"].lengths)
    loss, stats = distiller(student, {"teacher_hidden": same})
    torch.testing.assert_close(loss, torch.zeros(3), atol=1e-6, rtol=0)
    assert stats["cosine"].item() == pytest.approx(1.0)


def test_frames_learn_and_posteriors_do_not():
    distiller, student, teacher = make("ctc")
    frames = student["encoder_out"].data.requires_grad_()
    distiller(student, teacher)[0].sum().backward()
    for index, tokens in enumerate(EMITTING):
        taught = sorted(frame for token in tokens for frame in token)
        assert frames.grad[index].any(-1).nonzero().flatten().tolist() == taught
    assert student["ctc_logits"].data.grad is None


def test_a_text_that_does_not_fit_is_counted_and_costs_nothing():
    distiller, student, teacher = make("ctc")
    expected, _ = distiller(student, teacher)
    shortened = student["ctc_logits"].lengths.clone()
    shortened[1] = 2  # two equal tokens need three frames
    student["ctc_logits"] = Padded(student["ctc_logits"].data, shortened)
    loss, stats = distiller(student, teacher)
    torch.testing.assert_close(loss, expected * torch.tensor([1.0, 0.0, 1.0]))
    assert stats["tokens_without_alignment"] == 2


@pytest.mark.parametrize("source", ["decoder", "ctc"])
def test_an_utterance_without_targets_is_counted_and_costs_nothing(source):
    distiller, student, teacher = make(source)
    expected, _ = distiller(student, teacher)
    # The longest text is the one without: targets are narrower than the text.
    hidden = teacher["teacher_hidden"].data[:, :2]
    teacher = {"teacher_hidden": Padded(hidden, torch.tensor([0, 2, 2]))}
    loss, stats = distiller(student, teacher)
    torch.testing.assert_close(loss, expected * torch.tensor([0.0, 1.0, 1.0]))
    assert stats["tokens_without_targets"] == 3


@pytest.mark.parametrize(
    "conf, message",
    [
        (dict(source="rnn"), "unknown source 'rnn'; choose one of .*'decoder', 'ctc'"),
        (dict(distance="l2"), "unknown distance 'l2'; choose one of .*'mse'"),
        (dict(source="decoder"), "this one has none; choose source 'ctc'"),
    ],
)
def test_a_wrong_configuration_says_what_is_right(conf, message):
    student = StudentSpec(vocab_size=9, encoder_size=4, num_layers=2, sos=8, eos=8)
    with pytest.raises(InputError, match=message):
        LMEmbeddingDistiller(student, target_size=WIDTH, **conf)


def test_targets_of_another_width_name_theirs():
    distiller, student, _ = make("ctc")
    hidden = Padded(torch.randn(3, 3, 8), student["text"].lengths)
    with pytest.raises(InputError, match="width is 8, target_size says 6"):
        distiller(student, {"teacher_hidden": hidden})
