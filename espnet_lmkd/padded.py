"""A padded batch that knows its lengths."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Padded:
    """Sequences of different lengths in one tensor.

    Args:
        data: (B, T, ...), whatever lies beyond an utterance's length is meaningless.
        lengths: (B,) number of valid steps, 0 <= lengths <= T.

    Example:
        >>> Padded(torch.zeros(2, 3), torch.tensor([3, 1])).mask.tolist()
        [[True, True, True], [True, False, False]]
    """

    data: torch.Tensor
    lengths: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """(B, T) bool, True where a step is valid."""
        steps = torch.arange(self.data.shape[1], device=self.data.device)
        return steps < self.lengths.to(self.data.device).unsqueeze(1)

    def trimmed(self) -> "Padded":
        """The same batch without the columns that no utterance uses."""
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        return Padded(self.data[:, :longest], self.lengths)
