"""An attention decoder learns from the student's own CTC where its tokens are."""

from typing import Dict, Mapping, Tuple

import torch
from torch.nn.functional import max_pool1d

from espnet_lmkd.alignment.ctc import ctc_align
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

LEAST = 1e-6  # of the attention: the logarithm stays finite


class AttentionAlignmentDistiller(AbsDistiller):
    """Make an attention decoder look where the student's CTC has the token.

    With few hours of speech an attention decoder does not find out where to look: it
    becomes a language model, and whatever a teacher tells it says nothing of the audio.
    CTC finds its tokens within minutes, so it says where. The idea of a loss on
    attention weights is that of Tachibana, Uenoyama, Aihara, "Efficiently Trainable
    Text-to-Speech System Based on Deep Convolutional Networks with Guided Attention",
    ICASSP 2018, arXiv 1710.08969, which knows only that speech runs along the diagonal;
    the windows around CTC's tokens are ours. The attention is the mean over heads and
    layers, so that some of them stay free. No teacher, no parameters, no gradient to
    the CTC layer; eos is not guided.

    L = -sum_u log sum_{t: |t - t'| <= radius for a t' that emits u} a_u(t)

    Args:
        student: for its blank.
        radius: frames, from 0, beside those that emit the token.

    Raises:
        InputError: the radius is negative.

    Example:
        >>> student = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)
        >>> distiller = AttentionAlignmentDistiller(student, radius=0)
        >>> logits = torch.zeros(1, 3, 10)
        >>> logits[0, [0, 2], 0] = logits[0, 1, 3] = 5.0  # the second emits the token
        >>> attention = torch.tensor([[[[0.25, 0.5, 0.25]], [[0.0, 0.0, 1.0]]]])
        >>> loss, _ = distiller(
        ...     {
        ...         "text": Padded(torch.tensor([[3]]), torch.tensor([1])),
        ...         "ctc_logits": Padded(logits, torch.tensor([3])),
        ...         "decoder_attention": Padded(attention, torch.tensor([2])),
        ...     },
        ...     {},
        ... )
        >>> loss  # log 2
        tensor([0.6931])
    """

    taps = ("text", "ctc_logits", "decoder_attention")

    def __init__(self, student: StudentSpec, radius: int = 2):
        super().__init__()
        if radius < 0:
            raise InputError(f"attention_alignment: radius {radius} is below 0")
        self.blank, self.radius = student.blank, radius

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; `inside` is the attention within the windows, of 1."""
        text, logits = student["text"].trimmed(), student["ctc_logits"].trimmed()
        positions, aligned = ctc_align(
            logits.data, logits.lengths, text.data, text.lengths, self.blank
        )
        length = text.data.shape[1]
        tokens = torch.arange(length, device=positions.device).unsqueeze(1)
        windows = max_pool1d(
            (positions.unsqueeze(1) == tokens).float(),
            kernel_size=2 * self.radius + 1,
            stride=1,
            padding=self.radius,
        )
        windows = windows * logits.mask.unsqueeze(1)
        attention = student["decoder_attention"].data[:, :length]
        attention = attention[..., : windows.shape[2]].float().mean(2)
        inside = (attention * windows).sum(2)
        known = text.mask & aligned.unsqueeze(1)
        losses = (-(inside + LEAST).log() * known).sum(1)
        return losses, {
            "inside": (inside.detach() * known).sum() / known.sum().clamp(min=1),
            "tokens_without_alignment": (text.lengths * ~aligned).sum().float(),
        }
