"""An attention decoder learns from the student's own CTC where its tokens are."""

from typing import Dict, Mapping, Tuple

import torch

from espnet_lmkd.alignment.ctc import token_windows
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.guided_attention import (
    attention_inside,
    guided_attention_loss,
)
from espnet_lmkd.padded import Padded


class AttentionAlignmentDistiller(AbsDistiller):
    """Make an attention decoder look where the student's CTC has the token.

    With few hours of speech an attention decoder does not find out where to look: it
    becomes a language model, and whatever a teacher tells it says nothing of the audio.
    CTC finds its tokens within minutes, so it says where: a token's window are the
    frames that emit it on the best path of the text, and those near them. Losses on
    attention weights are known from Tachibana, Uenoyama, Aihara, "Efficiently Trainable
    Text-to-Speech System Based on Deep Convolutional Networks with Guided Attention",
    ICASSP 2018, arXiv 1710.08969; the windows are ours. No teacher, no parameters, no
    gradient to the CTC layer; eos is not guided.

    L = -sum_u log sum_{t in window of u} a_u(t),  a the mean over heads and layers

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
    default_weight = 0.3

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
        windows, aligned = token_windows(logits, text, self.radius, self.blank)
        attention = student["decoder_attention"].data[:, : text.data.shape[1]]
        known = text.mask & aligned.unsqueeze(1)
        losses = (guided_attention_loss(attention, windows) * known).sum(1)
        with torch.no_grad():
            inside = (attention_inside(attention, windows) * known).sum()
        return losses, {
            "inside": inside / known.sum().clamp(min=1),
            "tokens_without_alignment": (text.lengths * ~aligned).sum().float(),
        }
