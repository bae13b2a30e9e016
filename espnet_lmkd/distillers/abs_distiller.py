"""The contract between a student, a teacher's targets and a way to learn from them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Dict, Mapping, Sequence, Tuple

import torch

from espnet_lmkd.padded import Padded


@dataclass(frozen=True)
class StudentSpec:
    """What a distiller may know of the student when it is built.

    Args:
        vocab_size: V, the student's classes with blank, unknown and sos/eos.
        encoder_size: D, width of the encoder output.
        num_layers: encoder layers; taps count them from 1.
        sos, eos, blank: token ids.
    """

    vocab_size: int
    encoder_size: int
    num_layers: int
    sos: int
    eos: int
    blank: int = 0


class AbsDistiller(torch.nn.Module, ABC):
    """One kind of knowledge: what is read of the student and the teacher, and the loss.

    A subclass names its inputs in `taps` and `targets` (on the class, or on the
    instance where they depend on the configuration); its parameters train with the
    student and never leave training.

    Student taps: `text` (B, L) token ids, `encoder_out` (B, T, D),
    `encoder_layer.<k>` (B, T, D) normalised output of layer k = 1, 2, ...,
    `ctc_logits` (B, T, V), `decoder_logits` (B, L+1, V).
    Teacher targets: the names of `espnet_lmkd.targets.schema`.

    Args:
        student: sizes and special tokens of the student.
        conf: the entry's `conf` of `model_conf: {distillers: [...]}`.
    """

    taps: Sequence[str] = ()
    targets: Sequence[str] = ()

    @abstractmethod
    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """Return what each utterance adds to the loss.

        The model divides the sum by the batch size, as ESPnet's own losses are, so a
        distiller never averages over tokens or frames itself.

        Returns:
            (B,) float32 sum over the *valid* units of each utterance, 0 with a
            gradient path where there is none; and detached scalars to be logged.
        """
