"""The contract between a student, a teacher's targets and a way to learn from them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

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
        decoder_size: width of the tap `decoder_states`, None for a student without it.
        predictor_size: width of the tap `predictor_out`, None likewise.
    """

    vocab_size: int
    encoder_size: int
    num_layers: int
    sos: int
    eos: int
    blank: int = 0
    decoder_size: Optional[int] = None
    predictor_size: Optional[int] = None


class AbsDistiller(torch.nn.Module, ABC):
    """One kind of knowledge: what is read of the student and the teacher, and the loss.

    A subclass names its inputs in `taps` and `targets` (on the class, or on the
    instance where they depend on the configuration); its parameters train with the
    student and never leave training.

    Student taps: `text` (B, L) token ids, `encoder_out` (B, T, D),
    `encoder_layer.<k>` (B, T, D) normalised output of layer k = 1, 2, ...,
    `ctc_logits` (B, T, V), `decoder_logits` (B, L+1, V), `decoder_states` (B, L+1, D)
    what the attention decoder's output layer reads; row u predicts token u, the last
    one eos; `decoder_attention` (B, L+1, N, T) to the frames, of N heads in all layers.
    Of a transducer: `predictor_out` (B, L+1, E), the prediction network's
    output after u tokens; `blank_scores` (B, T, L+1) and `label_scores` (B, T, L), the
    log-probabilities of the lattice's arcs; and `joint_network`, which is no `Padded`
    but the module itself: it maps (..., D) and (..., E) to logits (..., V). Of a CIF
    recogniser: `cif_vectors` (B, L+1, D), integrated for the tokens and eos, and
    `cif_weights` (B, T) of its frames, before any scaling.
    Teacher targets: the names of `espnet_lmkd.targets.schema`; none where the student
    is its own teacher.

    `default_weight` is that of an entry without one, and of the shipped configurations;
    which were found by a search on dev says doc/stacking.md.

    Args:
        student: sizes and special tokens of the student.
        conf: the entry's `conf` of `model_conf: {distillers: [...]}`.
    """

    taps: Sequence[str] = ()
    targets: Sequence[str] = ()
    default_weight: float = 1.0

    @classmethod
    def store_conf(cls, manifest: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the options that a target store decides; training fills them in."""
        return {}

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
