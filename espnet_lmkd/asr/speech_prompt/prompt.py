"""What a language model reads before the text, in training and recognition alike."""

from typing import NamedTuple

import torch

from espnet_lmkd.padded import Padded


class Prompt(NamedTuple):
    """A batch of prompts that all end in the last column, so that text can follow.

    Args:
        embeds: (B, P, E), whatever lies left of a prompt is meaningless.
        mask: (B, P) True where a place is valid.
    """

    embeds: torch.Tensor
    mask: torch.Tensor


def build_prompt(
    speech: Padded, begin: torch.Tensor, instruction: torch.Tensor
) -> Prompt:
    """Put speech between the beginning of the sequence and an instruction.

    [E(bos); speech_1 .. speech_T; E(instruction)], padding on the left

    Args:
        speech: (B, T, E) vectors of the language model's width.
        begin: (E,) embedding of its beginning-of-sequence token.
        instruction: (I, E) embeddings of a fixed text, which may be empty.

    Returns:
        `Prompt` of the width 1 + longest speech + I.

    Example:
        >>> speech = Padded(torch.tensor([[[1.0], [2.0]], [[3.0], [0.0]]]), [2, 1])
        >>> speech = Padded(speech.data, torch.tensor(speech.lengths))
        >>> prompt = build_prompt(speech, torch.tensor([8.0]), torch.tensor([[9.0]]))
        >>> prompt.embeds[..., 0].tolist()
        [[8.0, 1.0, 2.0, 9.0], [8.0, 8.0, 3.0, 9.0]]
        >>> prompt.mask.tolist()
        [[True, True, True, True], [False, True, True, True]]
    """
    speech = speech.trimmed()
    batch = len(speech.data)
    rows = torch.cat([begin.expand(batch, 1, -1), speech.data], dim=1)
    steps = torch.arange(rows.shape[1], device=rows.device)
    empty = (speech.data.shape[1] - speech.lengths.to(rows.device)).unsqueeze(1)
    order = (steps - empty).clamp(min=0)  # padding repeats the first column
    rows = rows.take_along_dim(order.unsqueeze(2), dim=1)
    embeds = torch.cat([rows, instruction.expand(batch, -1, -1)], dim=1)
    mask = torch.nn.functional.pad(steps >= empty, (0, len(instruction)), value=True)
    return Prompt(embeds, mask)
