"""The frames that emit a token learn a masked LM's guesses for it."""

from typing import Dict, Mapping, Tuple

import torch

from espnet_lmkd.alignment.ctc import ctc_align, token_means
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.losses.divergence import topk_cross_entropy
from espnet_lmkd.padded import Padded


class CTCSoftLabelDistiller(AbsDistiller):
    """Distil a masked LM into the CTC posteriors of the frames that emit its tokens.

    Futami, Inaguma, Mimura, Sakai, Kawahara, "Distilling the Knowledge of BERT for
    CTC-based ASR", 2022, arXiv 2209.02030; reconstructed from its abstract and related
    work. Frames are those of the best CTC path of the text by the current posteriors,
    found without a gradient; blank frames learn nothing. Without parameters.

    L = sum_u mean_{t emits u} -sum_{v in topK} q_u(v) log p_ctc(v | t)

    The mean over a token's frames is ours: long tokens weigh no more than short ones,
    and the loss is a sum over tokens as the other methods' are.

    Args:
        student: for its blank; the targets' ids are of its vocabulary.

    Example:
        >>> student = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)
        >>> distiller, text = CTCSoftLabelDistiller(student), torch.tensor([1])
        >>> loss, _ = distiller(
        ...     {
        ...         "text": Padded(torch.tensor([[3]]), text),
        ...         "ctc_logits": Padded(torch.zeros(1, 2, 10), torch.tensor([2])),
        ...     },
        ...     {
        ...         "teacher_topk_ids": Padded(torch.tensor([[[3, 5]]]), text),
        ...         "teacher_topk_log_probs": Padded(torch.zeros(1, 1, 2), text),
        ...     },
        ... )
        >>> loss  # log 10
        tensor([2.3026])
    """

    taps = ("text", "ctc_logits")
    targets = ("teacher_topk_ids", "teacher_topk_log_probs")
    default_weight = 0.3

    def __init__(self, student: StudentSpec):
        super().__init__()
        self.blank = student.blank

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the tokens with a target and frames."""
        text, logits = student["text"], student["ctc_logits"]
        ids, log_probs = (teacher[name].trimmed() for name in self.targets)
        positions, aligned = ctc_align(
            logits.data, logits.lengths, text.data, text.lengths, self.blank
        )
        taught = ids.lengths > 0
        positions = positions.masked_fill(~taught.unsqueeze(1), -1)
        frame_losses = topk_cross_entropy(
            logits.data,
            _at_frames(ids.data, positions),
            _at_frames(log_probs.data, positions),
        )
        length = ids.data.shape[1]
        losses = token_means(frame_losses.unsqueeze(2), positions, length).sum((1, 2))

        with torch.no_grad():
            emitting = positions >= 0
            count = (text.lengths * (taught & aligned)).sum().clamp(min=1)
            stats = {
                "ce_soft": losses.sum() / count,
                "frames_per_token": emitting.sum() / count,
                "tokens_without_targets": (text.lengths * ~taught).sum().float(),
                "tokens_without_alignment": (text.lengths * ~aligned).sum().float(),
            }
        return losses, stats


def _at_frames(rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Give each frame the row of its token: (B, L, K) to (B, T, K), zeros for -1."""
    rows = torch.nn.functional.pad(rows, (0, 0, 1, 0))
    index = (positions + 1).unsqueeze(2).expand(-1, -1, rows.shape[2])
    return rows.gather(1, index)
