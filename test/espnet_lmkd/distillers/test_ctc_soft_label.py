"""Judge: the formula written as a loop over tokens and their frames, with scipy."""

import numpy as np
import pytest
import scipy.special
import torch
from aligned_speech import CLASSES, EMITTING, aligned_speech

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.ctc_soft_label import CTCSoftLabelDistiller
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(
    vocab_size=CLASSES, encoder_size=4, num_layers=2, sos=8, eos=8, blank=0
)


def make():
    generator = torch.Generator().manual_seed(1)
    student = aligned_speech()
    lengths = student["text"].lengths
    ids = torch.stack(
        [torch.randperm(CLASSES - 1, generator=generator)[:4] + 1 for _ in range(9)]
    )
    log_probs = torch.randn(3, 3, 4, generator=generator).log_softmax(-1) - 0.3
    teacher = {
        "teacher_topk_ids": Padded(ids.view(3, 3, 4), lengths),
        "teacher_topk_log_probs": Padded(log_probs, lengths),
    }
    return CTCSoftLabelDistiller(STUDENT), student, teacher


def test_against_the_formula():
    distiller, student, teacher = make()
    logits = student["ctc_logits"].data.detach().double().numpy()
    log_p = scipy.special.log_softmax(logits, axis=-1)
    wanted = np.zeros(3)
    for index, tokens in enumerate(EMITTING):
        for token, frames in enumerate(tokens):
            ids, q = (part.data[index, token].numpy() for part in teacher.values())
            q = scipy.special.softmax(q)
            wanted[index] += np.mean(
                [-(q * log_p[index, t, ids]).sum() for t in frames]
            )
    loss, stats = distiller(student, teacher)
    np.testing.assert_allclose(loss.detach(), wanted, rtol=1e-5)
    tokens = sum(map(len, EMITTING))
    frames = sum(len(token) for utterance in EMITTING for token in utterance)
    assert stats["ce_soft"].item() == pytest.approx(wanted.sum() / tokens, rel=1e-5)
    assert stats["frames_per_token"].item() == pytest.approx(frames / tokens)


def test_blank_frames_learn_nothing():
    distiller, student, teacher = make()
    distiller(student, teacher)[0].sum().backward()
    gradient = student["ctc_logits"].data.grad
    for index, tokens in enumerate(EMITTING):
        taught = sorted(frame for token in tokens for frame in token)
        assert gradient[index].any(-1).nonzero().flatten().tolist() == taught


def test_a_long_token_weighs_as_much_as_a_short_one():
    """The same posterior on every frame: the number of frames must not matter."""
    distiller, text = CTCSoftLabelDistiller(STUDENT), torch.tensor([1])
    losses = []
    for frames in (1, 5):
        logits = torch.arange(CLASSES).float().expand(1, frames, CLASSES)
        student = {
            "text": Padded(torch.tensor([[8]]), text),
            "ctc_logits": Padded(logits, torch.tensor([frames])),
        }
        teacher = {
            "teacher_topk_ids": Padded(torch.tensor([[[8, 2]]]), text),
            "teacher_topk_log_probs": Padded(torch.zeros(1, 1, 2), text),
        }
        loss, stats = distiller(student, teacher)
        assert stats["frames_per_token"] == frames
        losses.append(loss)
    torch.testing.assert_close(*losses)


def test_texts_that_do_not_fit_and_missing_targets_are_counted_and_cost_nothing():
    distiller, student, teacher = make()
    expected, _ = distiller(student, teacher)
    # The longest text is the one without: targets are narrower than the text.
    narrow = torch.tensor([0, 2, 2])
    teacher = {k: Padded(v.data[:, :2], narrow) for k, v in teacher.items()}
    shortened = student["ctc_logits"].lengths.clone()
    shortened[1] = 2  # two equal tokens need three frames
    student["ctc_logits"] = Padded(student["ctc_logits"].data, shortened)
    loss, stats = distiller(student, teacher)
    torch.testing.assert_close(loss, expected * torch.tensor([0.0, 0.0, 1.0]))
    assert stats["tokens_without_targets"] == 3
    assert stats["tokens_without_alignment"] == 2
    assert stats["ce_soft"].item() == pytest.approx(loss.sum().item() / 2)
