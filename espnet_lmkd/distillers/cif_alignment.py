"""Integrate-and-fire learns from the student's own CTC where its tokens are."""

from typing import Dict, Mapping, Tuple

import torch

from espnet_lmkd.alignment.ctc import ctc_align, token_means
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.padded import Padded


class CIFAlignmentDistiller(AbsDistiller):
    """Give a CIF student's weights to the frames at which its CTC has the tokens.

    The quantity loss of Dong and Xu, "CIF: Continuous Integrate-and-Fire for End-to-End
    Speech Recognition", ICASSP 2020, arXiv 1905.11235, says how many tokens an
    utterance has, not where. With few hours of speech the weights become a mere rate of
    speech: their sum drifts by whole tokens, and vectors straddle their neighbours'
    frames. Here the student's CTC says where: a token's weight of one lies on the
    frames that emit it on the best path of the text, that of eos on the last frame, if
    it is blank. Yu et al., "Boundary and Context Aware Training for CIF-based
    Non-Autoregressive End-to-end ASR", ASRU 2021, arXiv 2104.04702, guide the weights
    by CTC's spikes, too; the forced alignment and the squared error a frame are ours.
    No teacher, no parameters, no gradient to the CTC layer.

    L = sum_t (alpha_t - w_t)^2,  w_t = 1 / n_u where t is one of the n_u frames that
    emit token u,  1 at the last frame if it is blank,  0 elsewhere

    Args:
        student: for its blank.

    Example:
        >>> student = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)
        >>> distiller, frames = CIFAlignmentDistiller(student), torch.tensor([3])
        >>> logits = torch.zeros(1, 3, 10)
        >>> logits[0, [0, 2], 0] = logits[0, 1, 3] = 5.0  # the second emits the token
        >>> loss, _ = distiller(
        ...     {
        ...         "text": Padded(torch.tensor([[3]]), torch.tensor([1])),
        ...         "ctc_logits": Padded(logits, frames),
        ...         "cif_weights": Padded(torch.full((1, 3), 0.5), frames),
        ...     },
        ...     {},
        ... )
        >>> loss  # 3 / 4
        tensor([0.7500])
    """

    taps = ("text", "ctc_logits", "cif_weights")
    default_weight = 5.0

    def __init__(self, student: StudentSpec):
        super().__init__()
        self.blank = student.blank

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the frames, and over the tokens.

        `drift` is by how many tokens the sum of the weights is wrong where one is said.
        """
        text, logits, weights = (student[name] for name in self.taps)
        positions, aligned = ctc_align(
            logits.data, logits.lengths, text.data, text.lengths, self.blank
        )
        emits = positions >= 0
        tokens = positions.clamp(min=0)
        # One more than there may be tokens, since there may be none.
        sizes = torch.nn.functional.pad(torch.zeros_like(text.data), (0, 1))
        sizes = sizes.scatter_add(1, tokens, emits.long())
        wanted = emits / sizes.gather(1, tokens).clamp(min=1)
        last = (weights.lengths - 1).clamp(min=0).unsqueeze(1).to(tokens.device)
        at_end = wanted.gather(1, last).masked_fill(~emits.gather(1, last), 1.0)
        wanted = wanted.scatter(1, last, at_end)
        known = weights.mask & aligned.unsqueeze(1)
        alpha = weights.data.float().masked_fill(~known, 0.0)
        losses = ((alpha - wanted * known) ** 2).sum(1)
        with torch.no_grad():
            reached = alpha.double().cumsum(1) - alpha / 2
            drift = (reached - (positions + 0.5)).abs().float().unsqueeze(2)
            drift = token_means(drift, positions, text.data.shape[1]).sum()
        return losses, {
            "error": losses.detach().sum() / known.sum().clamp(min=1),
            "drift": drift / (text.lengths * aligned).sum().clamp(min=1),
            "tokens_without_alignment": (text.lengths * ~aligned).sum().float(),
        }
