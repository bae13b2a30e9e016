"""Judge: the dense (B, T, L, E) tensor in float64, one utterance at a time."""

import pytest
import torch

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.lm_embedding_transducer import (
    LMEmbeddingTransducerDistiller,
)
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import label_posteriors, lattice_nll
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(
    vocab_size=9, encoder_size=4, num_layers=2, sos=8, eos=8, predictor_size=5
)
TEXT, FRAMES, WIDTH = torch.tensor([3, 1, 2]), torch.tensor([6, 4, 5]), 7


def make(**options):
    torch.manual_seed(0)
    distiller = LMEmbeddingTransducerDistiller(STUDENT, target_size=WIDTH, **options)
    scores = torch.randn(3, 6, 9).log_softmax(2)
    student = {
        "text": Padded(torch.ones(3, 3, dtype=torch.long), TEXT),
        "encoder_out": Padded(torch.randn(3, 6, 4), FRAMES),
        "predictor_out": Padded(torch.randn(3, 4, 5), TEXT + 1),
        "blank_scores": Padded(scores[..., :4], FRAMES),
        "label_scores": Padded(scores[..., 4:7], FRAMES),
    }
    return distiller, student, Padded(torch.randn(3, 3, WIDTH), TEXT)


def costs_by_hand(distiller, student, hidden, distance):
    """(B, T, L) in float64 from the dense sums."""
    weight, *label = (p.detach().double() for p in distiller.parameters())
    a = student["encoder_out"].data.double() @ weight.T
    b = student["predictor_out"].data[:, :-1].double() @ label[0].T + label[1]
    e = hidden.data.double()
    e = (e - e.mean(-1, keepdim=True)) / (e.var(-1, False, True) + 1e-5).sqrt()
    sums, e = a.unsqueeze(2) + b.unsqueeze(1), e.unsqueeze(1)
    if distance == "cos":
        return 1 - torch.cosine_similarity(sums, e, dim=-1)
    return ((sums - e).abs() if distance == "l1" else (sums - e).square()).mean(-1)


@pytest.mark.parametrize("variant", ["posterior", "expectation", "joint"])
@pytest.mark.parametrize("distance", ["mse", "cos", "l1"])
def test_against_the_formula(variant, distance):
    distiller, student, hidden = make(variant=variant, distance=distance, scale=0.7)
    losses, stats = distiller(student, {"teacher_hidden": hidden})
    costs = costs_by_hand(distiller, student, hidden, distance)
    for index, (frames, length) in enumerate(zip(FRAMES, TEXT)):
        one = slice(index, index + 1)
        blanks = student["blank_scores"].data[one, :frames, : length + 1].double()
        labels = student["label_scores"].data[one, :frames, :length].double()
        cost, lengths = costs[one, :frames, :length], (frames[None], length[None])
        if variant == "joint":
            nll = lattice_nll(blanks, labels, *lengths)
            wanted = (lattice_nll(blanks, labels - 0.7 * cost, *lengths) - nll) / 0.7
        else:
            wanted = (label_posteriors(blanks, labels, *lengths) * cost).sum()
        assert losses[index].item() == pytest.approx(wanted.item(), rel=1e-4)
    assert stats["distance"] == pytest.approx((losses.sum() / TEXT.sum()).item())


def gradients(variant, **options):
    distiller, student, hidden = make(variant=variant, **options)
    learned = [p.data.requires_grad_() for n, p in student.items() if n != "text"]
    distiller(student, {"teacher_hidden": hidden})[0].sum().backward()
    parameters = [parameter.grad for parameter in distiller.parameters()]
    return parameters, [data.grad for data in learned]


def test_a_small_scale_is_the_expectation_and_posterior_its_projectors():
    expectation, joint = gradients("expectation"), gradients("joint", scale=1e-3)
    for mine, judge in zip(sum(joint, []), sum(expectation, [])):
        assert (mine - judge).norm() < 1e-2 * judge.norm()
    posterior = gradients("posterior")
    for mine, judge in zip(posterior[0], expectation[0]):
        torch.testing.assert_close(mine, judge)
    assert posterior[1][2] is None and posterior[1][3] is None
    assert expectation[1][2].norm() > 0 and expectation[1][3].norm() > 0


def test_a_row_of_eos_and_missing_targets_change_nothing():
    distiller, student, hidden = make()
    wanted, _ = distiller(student, {"teacher_hidden": hidden})
    with_eos = torch.cat([hidden.data, torch.randn(3, 1, WIDTH)], dim=1)
    got, _ = distiller(student, {"teacher_hidden": Padded(with_eos, TEXT + 1)})
    torch.testing.assert_close(got, wanted)
    some = Padded(hidden.data, torch.tensor([0, 1, 2]))
    got, stats = distiller(student, {"teacher_hidden": some})
    torch.testing.assert_close(got, wanted * torch.tensor([0.0, 1, 1]))
    assert stats["tokens_without_targets"] == 3


def test_wrong_options_say_what_was_wanted():
    for options, message in (
        (dict(variant="best"), "unknown variant 'best'; choose one of"),
        (dict(distance="kl"), "unknown distance 'kl'"),
        (dict(scale=0.0), "scale must be more than 0"),
    ):
        with pytest.raises(InputError, match=message):
            LMEmbeddingTransducerDistiller(STUDENT, **options)
    other = StudentSpec(9, encoder_size=4, num_layers=2, sos=8, eos=8)
    with pytest.raises(InputError, match="needs a transducer student"):
        LMEmbeddingTransducerDistiller(other)
    distiller, student, hidden = make()
    with pytest.raises(InputError, match="width is 3, target_size says 7"):
        distiller(student, {"teacher_hidden": Padded(hidden.data[..., :3], TEXT)})
