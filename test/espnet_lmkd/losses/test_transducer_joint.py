"""Judge: the same joint network on the whole lattice, and `rnnt_loss` on its logits."""

import pytest
import torch

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses import transducer_joint
from espnet_lmkd.losses.transducer import rnnt_loss
from espnet_lmkd.losses.transducer_joint import (
    arc_scores_from_joint,
    rnnt_loss_from_joint,
)

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    ),
]
CLASSES = 6


@pytest.fixture(autouse=True, params=[False, True], ids=["recomputed", "kept"])
def kept(request, monkeypatch):
    """Whether the logits stay for the backward pass."""
    if not request.param:
        monkeypatch.setattr(transducer_joint, "KEPT", 0)
    return request.param


class Joint(torch.nn.Module):
    """As ESPnet's, with a memory of what it gave."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.lin_enc, self.lin_dec = torch.nn.Linear(4, 8), torch.nn.Linear(3, 8)
        self.lin_out = torch.nn.Linear(8, CLASSES)
        self.dropout = torch.nn.Dropout(dropout)
        self.given = []

    def forward(self, encoder_out, predictor_out):
        hidden = torch.tanh(self.lin_enc(encoder_out) + self.lin_dec(predictor_out))
        logits = self.lin_out(self.dropout(hidden))
        self.given.append(logits.detach().clone())
        return logits


def make_batch(frames=(600, 41, 1), labels=(7, 0, 9), dtype=torch.float, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    batch, nodes = len(frames), max(labels) + 1
    states = (
        torch.randn(batch, max(frames), 4, generator=generator, dtype=dtype),
        torch.randn(batch, nodes, 3, generator=generator, dtype=dtype),
    )
    targets = torch.randint(1, CLASSES, (batch, nodes - 1), generator=generator)
    return [x.to(device).requires_grad_() for x in states], (
        targets.to(device),
        torch.tensor(frames, device=device),
        torch.tensor(labels, device=device),
    )


def gradients(loss, joint, states):
    return torch.autograd.grad(loss, [*states, *joint.parameters()], retain_graph=True)


def whole(joint, states):
    return joint(states[0].unsqueeze(2), states[1].unsqueeze(1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_whole_lattice_at_once(reduction, device):
    joint = Joint().to(device)
    states, labels = make_batch(device=device)
    # Inside a larger graph: what comes in is no leaf, what comes back no one.
    loss = rnnt_loss_from_joint(
        joint, *(2 * x for x in states), *labels, reduction=reduction
    )
    wanted = rnnt_loss(
        whole(joint, [2 * x for x in states]), *labels, reduction=reduction
    )
    torch.testing.assert_close(loss, wanted)
    weights = torch.linspace(1, 2, loss.numel(), device=device).view(loss.shape)
    for got, expected in zip(
        gradients((loss * weights).sum(), joint, states),
        gradients((wanted * weights).sum(), joint, states),
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_gradcheck():
    joint = Joint().double()
    states, labels = make_batch((5, 3), (1, 2), torch.double)
    assert torch.autograd.gradcheck(
        lambda *states: rnnt_loss_from_joint(joint, *states, *labels), states
    )


def test_the_joint_sees_valid_nodes_only_and_few_at_once():
    joint = Joint()
    states, labels = make_batch()
    rnnt_loss_from_joint(joint, *states, *labels)
    one, *nodes = [logits[..., 0].numel() for logits in joint.given]
    assert one == 1, "how many classes there are"
    assert sum(nodes) == 600 * 8 + 41 * 1 + 1 * 10
    assert max(nodes) <= 2048 and len(nodes) == 5


def test_padding_is_never_read():
    joint = Joint()
    states, labels = make_batch()
    results = []
    for value in (0.0, float("nan")):
        for b, (frames, length) in enumerate(zip(*labels[1:])):
            with torch.no_grad():
                states[0][b, frames:], states[1][b, length + 1 :] = value, value
        loss = rnnt_loss_from_joint(joint, *states, *labels)
        results.append((loss, *gradients(loss, joint, states)))
    for clean, padded in zip(*results):
        assert padded.isfinite().all() and torch.equal(clean, padded)
    scores = arc_scores_from_joint(joint, *states, *labels)
    assert all(score.isfinite().all() for score in scores)


def test_dropout_is_the_same_in_the_backward_pass(kept):
    joint = Joint(dropout=0.5)
    states, labels = make_batch()
    rnnt_loss_from_joint(joint, *states, *labels).backward()
    forward, backward = joint.given[1:6], joint.given[6:]
    if kept:
        assert not backward
        return
    assert len(backward) == 5
    for logits in forward:
        assert any(torch.equal(logits, again) for again in backward)


def test_autocast_counts_in_float32_and_is_the_same_in_the_backward_pass():
    joint = Joint()
    states, labels = make_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = rnnt_loss_from_joint(joint, *states, *labels)
        wanted = rnnt_loss(whole(joint, states), *labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted, rtol=1e-3, atol=0)
    assert {logits.dtype for logits in joint.given} == {torch.bfloat16}
    got, judge = (gradients(x, joint, states) for x in (loss, wanted))
    for mine, other in zip(got, judge):
        assert mine.dtype == torch.float32
        assert (mine - other).norm() <= 0.02 * other.norm()


def test_a_parameter_gets_its_gradient_once_and_whole():
    """As DDP's hooks expect, also when the joint network is used elsewhere too."""
    joint = Joint()
    states, labels = make_batch()
    calls = []
    for name, parameter in joint.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda _, name=name: calls.append(name)
        )
    loss = rnnt_loss_from_joint(joint, *states, *labels)
    loss = loss + joint(states[0][:, 0], states[1][:, 0]).square().sum()
    loss.backward()
    assert sorted(calls) == sorted(name for name, _ in joint.named_parameters())


def test_nothing_is_kept_without_gradients():
    joint = Joint()
    states, labels = make_batch()
    with torch.no_grad():
        assert not rnnt_loss_from_joint(joint, *states, *labels).requires_grad
    assert len(joint.given) == 1 + 5


def test_what_is_kept_is_bounded(monkeypatch):
    """Valid nodes count, not those of the padding."""
    states, labels = make_batch()
    nodes = 600 * 8 + 41 * 1 + 1 * 10
    monkeypatch.setattr(transducer_joint, "HIDDEN", 2 * CLASSES)
    for bound, runs in ((nodes * 2 * CLASSES, 5), (nodes * 2 * CLASSES - 1, 10)):
        monkeypatch.setattr(transducer_joint, "KEPT", bound)
        joint = Joint()
        rnnt_loss_from_joint(joint, *states, *labels).backward()
        assert len(joint.given) == 1 + runs


def test_what_does_not_fit_is_named():
    states, (targets, frames, lengths) = make_batch()
    with pytest.raises(InputError, match="targets must be"):
        rnnt_loss_from_joint(Joint(), *states, targets[:, 1:], frames, lengths)
    with pytest.raises(InputError, match="logit_lengths must be in 1..600"):
        rnnt_loss_from_joint(Joint(), *states, targets, frames + 1, lengths)
    with pytest.raises(InputError, match="9 is not in 0..5"):
        targets[0, 0] = 9
        rnnt_loss_from_joint(Joint(), *states, targets, frames, lengths)
