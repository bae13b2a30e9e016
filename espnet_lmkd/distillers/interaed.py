"""Attention decoders on intermediate and final layers learn a masked LM's guesses."""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import torch
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder

from espnet_lmkd.alignment.ctc import token_windows
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.divergence import smoothed_cross_entropy, topk_cross_entropy
from espnet_lmkd.losses.guided_attention import (
    attention_inside,
    guided_attention_loss,
    kept_attention,
)
from espnet_lmkd.padded import Padded

GUIDE_RADIUS = 2  # frames


class BertKDDecoder(TransformerDecoder):
    """Attention decoder that learns from hard labels and a masked LM's probabilities.

    Parameters and scores are those of ESPnet's transformer decoder, so an exported
    student names that one. Takes ESPnet's arguments.
    """

    def distill(
        self,
        encoder_out: Padded,
        text: Padded,
        topk_ids: Padded,
        topk_log_probs: Padded,
        sos: int,
        eos: int,
        kd_weight: float,
        label_smoothing: float,
        windows: Optional[torch.Tensor] = None,
        guide_weight: float = 0.0,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """Return L_AED of each utterance and its means over the tokens.

        L_AED = a (-sum_u sum_{v in topK} q_u(v) log p_u(v)) + (1 - a) CE_ls(p, y)
            + g sum_u guided_attention_loss_u

        Args:
            encoder_out: (B, T, D).
            text: (B, L) tokens of this decoder without eos; an utterance of length 0
                has none and adds 0.
            topk_ids, topk_log_probs: (B, L, K); an utterance of length 0 has none and
                learns from the hard labels only.
            sos, eos: ids in this decoder's vocabulary.
            kd_weight: a in [0, 1].
            label_smoothing: of the hard labels.
            windows: (B, L, T) of `token_windows`, where to attend; None: anywhere.
            guide_weight: g, from 0.
        """
        encoder_out, text = encoder_out.trimmed(), text.trimmed()
        rows = torch.arange(len(text.lengths), device=text.data.device)
        tokens = text.data.masked_fill(~text.mask, eos)
        labels = torch.nn.functional.pad(tokens, (0, 1), value=eos)
        inputs = torch.nn.functional.pad(tokens, (1, 0), value=sos)
        out = Padded(labels, text.lengths + (text.lengths > 0))
        lengths = out.lengths.clamp(min=1)  # ESPnet's masks want one token
        logits, _ = self(encoder_out.data, encoder_out.lengths, inputs, lengths)

        hard = smoothed_cross_entropy(logits, labels, label_smoothing) * out.mask
        length, has_teacher = labels.shape[1], topk_ids.lengths > 0
        soft = topk_cross_entropy(
            logits[:, : length - 1],
            _fit(topk_ids.data, length - 1),
            _fit(topk_log_probs.data, length - 1),
        )
        # eos is not stored: the teacher is certain of it.
        end = smoothed_cross_entropy(logits[rows, text.lengths], labels[:, -1], 0.0)
        soft = (soft * text.mask).sum(1) + end
        soft = soft * has_teacher
        losses = kd_weight * soft + (1 - kd_weight) * hard.sum(1)
        with torch.no_grad():
            tokens_in_batch = out.lengths.sum().clamp(min=1)
            taught = (out.lengths * has_teacher).sum().clamp(min=1)
            correct = (logits.argmax(-1) == labels) & out.mask
            stats = {
                "acc": correct.sum() / tokens_in_batch,
                "ce_hard": hard.sum() / tokens_in_batch,
                "ce_soft": soft.sum() / taught,
                "without_targets": (~has_teacher).sum().float(),
            }
        if windows is not None:
            attention = kept_attention(self)[:, : length - 1]
            known = windows.any(2) & text.mask
            guided = guided_attention_loss(attention, windows) * known
            losses = losses + guide_weight * guided.sum(1)
            with torch.no_grad():
                inside = (attention_inside(attention, windows) * known).sum()
                stats["inside"] = inside / known.sum().clamp(min=1)
                stats["tokens_without_alignment"] = (text.mask & ~known).sum().float()
        return losses, stats


class InterAEDDistiller(AbsDistiller):
    """Distil a masked LM into a CTC student through auxiliary attention decoders.

    Hentschel, Nishikawa, Komatsu, Fujita, "Keep Decoding Parallel with Effective
    Knowledge Distillation from Language Models to End-to-End Speech Recognisers",
    ICASSP 2024, arXiv 2401.11700; formulas reconstructed from abstract and related
    work. The decoders exist in training only: recognition stays CTC greedy.

    L = (1 - w_d) L_AED(N) + w_d mean_m L_AED(m)

    Beside `ctc_weight: 1` the paper's convex l CTC + (1 - l) AED is this distiller with
    `weight: (1 - l) / l` and a learning rate for a loss 1 / l as large.

    Args:
        student: sizes and special tokens of the student, whose vocabulary the teacher's
            targets share.
        layers: intermediate encoder layers m, counted from 1; none: final layer only.
        intermediate_weight: w_d in [0, 1].
        kd_weight: share of the teacher in each decoder's loss, in [0, 1].
        label_smoothing: of the hard labels' share.
        guide_weight: g, from 0: how strongly the decoders are told to attend to the
            frames near those with which CTC emits a token, as `attention_alignment`
            tells the student's own; not in the paper.
        shared: one decoder for all layers, or one each.
        decoder_conf: of ESPnet's transformer decoder.
    """

    targets = ("teacher_topk_ids", "teacher_topk_log_probs")

    def __init__(
        self,
        student: StudentSpec,
        layers: Sequence[int] = (),
        intermediate_weight: float = 0.5,
        kd_weight: float = 0.5,
        label_smoothing: float = 0.1,
        guide_weight: float = 0.0,
        shared: bool = True,
        decoder_conf: Optional[Dict[str, Any]] = None,
    ):
        super().__init__()
        for layer in layers:
            if not 1 <= layer < student.num_layers:
                raise InputError(
                    f"interaed: intermediate layer {layer} is not within "
                    f"1..{student.num_layers - 1} of this {student.num_layers}-layer "
                    "encoder"
                )
        if guide_weight < 0:
            raise InputError(f"interaed: guide_weight {guide_weight} is below 0")
        decoder_conf = dict(decoder_conf or {})
        if guide_weight:
            decoder_conf.update(use_flash_attn=False)  # which keeps no weights
        self.student = student
        self.intermediate_weight = intermediate_weight if layers else 0.0
        self.kd_weight, self.label_smoothing = kd_weight, label_smoothing
        self.guide_weight = guide_weight
        self.sources = ["encoder_out"] + [f"encoder_layer.{m}" for m in layers]
        self.taps = ("text", *self.sources)
        if guide_weight:
            self.taps += ("ctc_logits",)
        self.decoders = torch.nn.ModuleList(
            BertKDDecoder(student.vocab_size, student.encoder_size, **decoder_conf)
            for _ in (self.sources[:1] if shared else self.sources)
        )

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are the final layer's means over tokens."""
        results, windows = [], self._windows(student)
        for index, source in enumerate(self.sources):
            decoder = self.decoders[index % len(self.decoders)]
            results.append(
                decoder.distill(
                    student[source],
                    student["text"],
                    teacher["teacher_topk_ids"],
                    teacher["teacher_topk_log_probs"],
                    self.student.sos,
                    self.student.eos,
                    self.kd_weight,
                    self.label_smoothing,
                    windows,
                    self.guide_weight,
                )
            )
        (final, stats), intermediate = results[0], [loss for loss, _ in results[1:]]
        loss = (1 - self.intermediate_weight) * final
        if intermediate:
            loss = loss + self.intermediate_weight * torch.stack(intermediate).mean(0)
        return loss, stats

    def _windows(self, student):
        """Return (B, L, T) where CTC has the tokens, None if that is not asked for."""
        if not self.guide_weight:
            return None
        text, logits = student["text"].trimmed(), student["ctc_logits"].trimmed()
        return token_windows(logits, text, GUIDE_RADIUS, self.student.blank)[0]


def _fit(data: torch.Tensor, length: int) -> torch.Tensor:
    """Cut or pad axis 1: where the longest text has no targets, they are shorter."""
    missing = length - data.shape[1]
    return torch.nn.functional.pad(data, (0, 0, 0, missing))
