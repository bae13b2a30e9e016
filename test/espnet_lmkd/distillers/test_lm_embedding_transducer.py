"""Judge: the dense (B, T, L, E) tensor and a lattice by its nodes, in float64."""

import itertools

import pytest
import torch

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.lm_embedding_transducer import (
    LMEmbeddingTransducerDistiller,
)
from espnet_lmkd.errors import InputError
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


def costs_by_hand(parameters, frames, predicted, hidden, distance):
    """(B, T, L) in float64 from the dense sums."""
    of_frame, of_label, bias = parameters
    a, b = frames @ of_frame.T, predicted[:, :-1] @ of_label.T + bias
    mean, variance = hidden.mean(-1, keepdim=True), hidden.var(-1, False, True)
    e = (hidden - mean) / (variance + 1e-5).sqrt()
    sums, e = a.unsqueeze(2) + b.unsqueeze(1), e.unsqueeze(1)
    if distance == "cos":
        return 1 - torch.cosine_similarity(sums, e, dim=-1)
    return ((sums - e).abs() if distance == "l1" else (sums - e).square()).mean(-1)


def nll_by_hand(blanks, labels):
    """Transducer loss of one utterance, node after node."""
    (frames, nodes), states = blanks.shape, {}
    for t, u in itertools.product(range(frames), range(nodes)):
        arrivals = [states[t - 1, u] + blanks[t - 1, u]] if t else []
        arrivals += [states[t, u - 1] + labels[t, u - 1]] if u else []
        first = blanks.new_zeros(())
        states[t, u] = torch.stack(arrivals).logsumexp(0) if arrivals else first
    return -states[frames - 1, nodes - 1] - blanks[-1, -1]


def loss_by_hand(variant, scale, blanks, labels, costs):
    nll = nll_by_hand(blanks, labels)
    if variant == "joint":
        return (nll_by_hand(blanks, labels - scale * costs) - nll) / scale
    (slope,) = torch.autograd.grad(nll, labels, create_graph=variant == "expectation")
    return (-slope * costs).sum()


@pytest.mark.parametrize("variant", ["posterior", "expectation", "joint"])
@pytest.mark.parametrize("distance", ["mse", "cos", "l1"])
def test_against_the_formula(variant, distance):
    distiller, student, hidden = make(variant=variant, distance=distance, scale=0.7)
    learned = [p.data.requires_grad_() for n, p in student.items() if n != "text"]
    learned = [*distiller.parameters(), *learned]
    losses, stats = distiller(student, {"teacher_hidden": hidden})
    losses.sum().backward()
    exact = [data.detach().double().requires_grad_() for data in learned]
    *parameters, h, g, blanks, labels = exact
    costs = costs_by_hand(parameters, h, g, hidden.data.double(), distance)
    wanted = [
        loss_by_hand(
            variant, 0.7, blanks[i, :t, : u + 1], labels[i, :t, :u], costs[i, :t, :u]
        )
        for i, (t, u) in enumerate(zip(FRAMES.tolist(), TEXT.tolist()))
    ]
    torch.stack(wanted).sum().backward()
    for loss, judge in zip(losses.tolist(), wanted):
        assert loss == pytest.approx(judge.item(), rel=1e-4)
    assert stats["distance"] == pytest.approx((losses.sum() / TEXT.sum()).item())
    # gamma of `posterior` has no gradient, so its scores have none.
    with_gradient = len(exact) - (2 if variant == "posterior" else 0)
    for index, (mine, judge) in enumerate(zip(learned, exact)):
        if index >= with_gradient:
            assert mine.grad is None and judge.grad is None
            continue
        assert judge.grad.norm() > 0
        assert (mine.grad - judge.grad).norm() <= 1e-4 * judge.grad.norm()


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
