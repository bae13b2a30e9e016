"""Judge: torchaudio's loss, where its compiled part works."""

import importlib
from pathlib import Path

import pytest
import torch
from lattice_judge import random_lattice

from espnet_lmkd.losses.transducer import rnnt_loss


def working_torchaudio():
    """torchaudio's loss, or skip: its compiled part wants CUDA's libraries."""
    theirs = pytest.importorskip("torchaudio.functional").rnnt_loss
    try:
        if not hasattr(torch.ops.torchaudio, "rnnt_loss_forward"):
            home = Path(importlib.import_module("torchaudio").__file__).parent
            torch.ops.load_library(str(next(home.glob("lib/libtorchaudio*.so"))))
    except (OSError, RuntimeError, StopIteration) as error:
        pytest.skip(f"torchaudio's compiled part does not load: {error}")
    return theirs


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("blank", [0, 3, -1])
def test_torchaudios_values(reduction, blank):
    theirs = working_torchaudio()
    logits, targets = random_lattice((4, 30, 9), 7, blank)
    arguments = (
        targets.int(),
        torch.tensor([30, 1, 22, 7], dtype=torch.int32),
        torch.tensor([5, 8, 1, 8], dtype=torch.int32),
    )
    results = []
    for loss in (rnnt_loss, theirs):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, *arguments, blank=blank, reduction=reduction)
        (value * torch.linspace(0.5, 1, value.numel())).sum().backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(*(value for value, _ in results), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*(grad for _, grad in results), rtol=0, atol=1e-4)
