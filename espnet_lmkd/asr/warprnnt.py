"""A stand-in for `warprnnt_pytorch`, which ESPnet's transducers import."""

import functools
import importlib.machinery
import importlib.util
import logging
import sys
import types

import torch

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import rnnt_loss

logger = logging.getLogger(__name__)

NAME = "warprnnt_pytorch"


class RNNTLoss(torch.nn.Module):
    """`warprnnt_pytorch.RNNTLoss` on `rnnt_loss`: any device, nothing to compile.

    Args:
        blank: id of the blank symbol.
        reduction: `mean`, `sum` or `none`.
        fastemit_lambda: 0; FastEmit is not implemented.
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", fastemit_lambda: float = 0.0
    ):
        super().__init__()
        if fastemit_lambda != 0.0:
            raise InputError(
                f"fastemit_lambda {fastemit_lambda}: only 0 is supported without an "
                f"installed {NAME}"
            )
        self.blank, self.reduction = blank, reduction
        _announce()

    def forward(
        self,
        acts: torch.Tensor,
        labels: torch.Tensor,
        act_lens: torch.Tensor,
        label_lens: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss of logits (B, T, U, V) and labels (B, U-1)."""
        return rnnt_loss(
            acts, labels.long(), act_lens, label_lens, self.blank, self.reduction
        )


def provide() -> None:
    """Let `import warprnnt_pytorch` find this loss where nothing is installed."""
    if NAME in sys.modules or importlib.util.find_spec(NAME) is not None:
        return
    module = types.ModuleType(NAME, doc=__doc__)
    # Without a specification `find_spec` raises, for whoever asks whether it is there.
    module.__spec__ = importlib.machinery.ModuleSpec(NAME, None)
    module.RNNTLoss = RNNTLoss
    sys.modules[NAME] = module


@functools.lru_cache(None)
def _announce() -> None:
    """Say once whose loss it is; at import ESPnet's log would not be there yet."""
    logger.info(f"{NAME} is not installed: transducers use espnet_lmkd's own loss")
