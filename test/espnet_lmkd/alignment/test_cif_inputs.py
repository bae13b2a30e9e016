"""What integrate-and-fire refuses, and how often the host waits for its inputs."""

import pytest
import torch

from espnet_lmkd.alignment import cif_inputs
from espnet_lmkd.alignment.cif import integrate_and_fire
from espnet_lmkd.errors import InputError


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_host_does_not_wait_for_the_device():
    hidden = torch.randn(2, 30, 4, device="cuda", requires_grad=True)
    alpha = torch.rand(2, 30, device="cuda", requires_grad=True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        output = integrate_and_fire(
            hidden, alpha, torch.tensor([30, 20]), torch.tensor([7, 9])
        )
        output.vectors.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("targets", [None, torch.tensor([7, 9])])
def test_lengths_are_read_at_once(targets, monkeypatch):
    read, count = torch.Tensor.tolist, []
    monkeypatch.setattr(
        torch.Tensor, "tolist", lambda x: count.append(x.shape) or read(x)
    )
    integrate_and_fire(
        torch.randn(2, 30, 4), torch.rand(2, 30), torch.tensor([30, 20]), targets
    )
    assert count == [(2, 2)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("targets", [None, torch.tensor([7, 9])])
def test_the_host_waits_once_for_lengths_on_the_device(targets):
    hidden, alpha = torch.randn(2, 30, 4).cuda(), torch.rand(2, 30).cuda()
    lengths = torch.tensor([30, 20]).cuda()
    targets = targets if targets is None else targets.cuda()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchronizing") as waits:
            integrate_and_fire(hidden, alpha, lengths, targets)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(waits) == 1


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"hidden": torch.zeros(2, 3)}, r"\(B, T, D\).*not \(2, 3\)"),
        ({"hidden": torch.zeros(2, 0, 1), "alpha": torch.zeros(2, 0)}, "from 1"),
        ({"alpha": torch.zeros(2, 4)}, r"alpha must be \(2, 3\), not \(2, 4\)"),
        ({"lengths": torch.tensor([3])}, r"lengths must be \(2,\), not \(1,\)"),
        ({"lengths": torch.tensor([3, 4])}, r"lengths must be 0..3, not \[3, 4\]"),
        ({"lengths": torch.tensor([-1, 3])}, r"0..3, not \[-1, 3\]"),
        ({"target_lengths": torch.tensor([[1, 2]])}, r"target_lengths .* not \(1, 2\)"),
        ({"target_lengths": torch.tensor([2, -1])}, r"negative.*\[2, -1\]"),
        (
            {"lengths": torch.tensor([0, 3]), "target_lengths": torch.tensor([1, 1])},
            r"no frames, not \[1, 1\] for \[0, 3\]",
        ),
        ({"tail_threshold": 0.0}, "tail_threshold must be above 0, not 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    inputs = {"hidden": torch.zeros(2, 3, 1), "alpha": torch.ones(2, 3), **changes}
    with pytest.raises(InputError, match=said):
        integrate_and_fire(**inputs)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1e-3])
def test_wrong_weights_are_refused(wrong):
    alpha, hidden = torch.ones(2, 3), torch.zeros(2, 3, 1)
    alpha[1, 2] = wrong
    with pytest.raises(InputError, match=f"not {wrong:.1g}.* frame 2 of utterance 1"):
        integrate_and_fire(hidden, alpha)
    integrate_and_fire(hidden, alpha, torch.tensor([3, 2]))  # padding may hold it


@pytest.mark.parametrize("targets", [None, torch.tensor([4, 5, 3])])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_wrong_weights_make_nan_where_the_host_does_not_look(
    wrong, targets, monkeypatch
):
    """As on CUDA, and the other utterances are as they were."""
    torch.manual_seed(0)
    hidden, alpha = torch.randn(3, 9, 2), torch.rand(3, 9)
    right = integrate_and_fire(hidden, alpha, target_lengths=targets)
    hidden.requires_grad_()
    alpha[1, 4] = wrong
    alpha.requires_grad_()
    monkeypatch.setattr(cif_inputs, "_is_seen", lambda tensor: False)
    found = integrate_and_fire(hidden, alpha, target_lengths=targets)
    number = int(found.lengths[1])
    assert number == (0 if targets is None else 5)  # nothing fires without weight
    assert found.vectors[1, :number].isnan().all()
    for row in (0, 2):
        count = int(right.lengths[row])
        assert found.vectors[row, :count].equal(right.vectors[row, :count])
        assert found.boundaries[row, :count].equal(right.boundaries[row, :count])
    found.vectors.sum().backward()
    assert not hidden.grad[::2].isnan().any() and not alpha.grad[::2].isnan().any()
    if targets is not None:
        assert hidden.grad[1].isnan().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_wrong_weights_do_not_end_a_process_on_cuda():
    alpha = torch.ones(2, 3).cuda()
    alpha[1, 1] = float("nan")
    hidden, targets = torch.zeros(2, 3, 1).cuda(), torch.tensor([2, 2])
    vectors = integrate_and_fire(hidden, alpha, target_lengths=targets).vectors
    assert vectors[1].isnan().all() and not vectors[0].any()
