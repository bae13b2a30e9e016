"""What is between a speech encoder and a language model."""

from typing import Any, Callable, Dict, List, Optional

import torch

from espnet_lmkd.padded import Padded


class AbsBridge(torch.nn.Module):
    """Make (B, T', E) vectors of (B, T, D) frames; none depends on its batch.

    Args:
        quantity_losses: (B,) of the last batch in training, where there are any.
        quantity_weight: weight of their mean beside the cross-entropy.
    """

    quantity_losses: Optional[torch.Tensor] = None
    quantity_weight: float = 0.0
    linear: torch.nn.Linear

    @torch.no_grad()
    def speak_like(
        self, embeddings: torch.Tensor, read: Callable[[str], List[int]]
    ) -> None:
        """Begin with vectors as large as the LM's embeddings.

        Larger ones drown what the layers of an LM add to them: 0.58 a dimension by
        torch's initial weights, where SmolLM2-135M has 0.14.

        linear ~ U(-b, b),  b = sqrt(3 / D) std(embeddings), for frames of variance 1

        Args:
            embeddings: (V, E) of the LM.
            read: returns the LM's ids of a text.
        """
        bound = (3 / self.linear.in_features) ** 0.5 * float(embeddings.float().std())
        torch.nn.init.uniform_(self.linear.weight, -bound, bound)
        torch.nn.init.zeros_(self.linear.bias)

    def config(self) -> Dict[str, Any]:
        """Return options that build the bridge again without files of its training."""
        return {}

    def use_ctc(self, ctc: torch.nn.Module, blank: int) -> None:
        """Take note of the recogniser's `espnet2.asr.ctc.CTC`; most have no use for it.

        Args:
            ctc: the layer.
            blank: its id of blank.
        """

    def forward(
        self, frames: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Padded:
        """Return the vectors.

        Args:
            frames: (B, T, D).
            token_lengths: (B,) tokens of the transcripts, in training.
        """
        raise NotImplementedError
