"""Attention decoders over the teacher's tokens; the student keeps its own."""

import dataclasses
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import torch

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.interaed import InterAEDDistiller
from espnet_lmkd.padded import Padded


class InterAEDWordpieceDistiller(InterAEDDistiller):
    """Distil a masked LM whose tokens are not the student's.

    `InterAEDDistiller` (Hentschel et al., ICASSP 2024, arXiv 2401.11700) has a teacher
    over the student's vocabulary. The decoders are for training only, so here they
    write the teacher's word pieces and learn its probabilities of these, whatever the
    student's own tokens are; no alignment of the two is needed. The idea is ours.

    Args:
        student: sizes and special tokens of the student.
        vocab_size, sos, eos: of the teacher, [CLS] and [SEP] for a BERT; training takes
            them from the target store, and the defaults are bert-base-uncased's.
        layers, intermediate_weight, kd_weight, label_smoothing, shared, decoder_conf:
            see `InterAEDDistiller`.
    """

    targets = (
        "teacher_tokens",
        "teacher_tokens_topk_ids",
        "teacher_tokens_topk_log_probs",
    )

    def __init__(
        self,
        student: StudentSpec,
        vocab_size: int = 30522,
        sos: int = 101,
        eos: int = 102,
        layers: Sequence[int] = (),
        intermediate_weight: float = 0.5,
        kd_weight: float = 0.5,
        label_smoothing: float = 0.1,
        shared: bool = True,
        decoder_conf: Optional[Dict[str, Any]] = None,
    ):
        decoder = dataclasses.replace(student, vocab_size=vocab_size, sos=sos, eos=eos)
        super().__init__(
            decoder,
            layers,
            intermediate_weight,
            kd_weight,
            label_smoothing,
            shared=shared,
            decoder_conf=decoder_conf,
        )
        self.taps = tuple(self.sources)

    @classmethod
    def store_conf(cls, manifest: Mapping[str, Any]) -> Dict[str, Any]:
        """Take the sizes of the teacher's vocabulary from its store."""
        tokenizer = manifest["tokenizer"]
        return {name: tokenizer[name] for name in ("vocab_size", "sos", "eos")}

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; an utterance without targets adds 0."""
        tokens = teacher["teacher_tokens"]
        text = Padded(tokens.data.squeeze(2).long(), tokens.lengths)
        return super().forward(
            {"text": text, **{name: student[name] for name in self.taps}},
            {
                name: teacher[name.replace("teacher_", "teacher_tokens_")]
                for name in InterAEDDistiller.targets
            },
        )
