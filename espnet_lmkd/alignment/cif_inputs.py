"""What `integrate_and_fire` is given, checked."""

from typing import List, Optional, Tuple

import torch

from espnet_lmkd.errors import InputError


def check_shapes(hidden, alpha, lengths, target_lengths, tail_threshold):
    """Raise an `InputError` unless shapes and the threshold fit."""
    if hidden.dim() != 3 or 0 in hidden.shape:
        raise InputError(
            f"hidden must be (B, T, D), each from 1, not {tuple(hidden.shape)}"
        )
    batch, frames, _ = hidden.shape
    for name, given, shape in (
        ("alpha", alpha, (batch, frames)),
        ("lengths", lengths, (batch,)),
        ("target_lengths", target_lengths, (batch,)),
    ):
        if given is not None and given.shape != shape:
            raise InputError(f"{name} must be {shape}, not {tuple(given.shape)}")
    if not tail_threshold > 0:
        raise InputError(f"tail_threshold must be above 0, not {tail_threshold}")


def find_wrong(weights: torch.Tensor) -> Optional[torch.Tensor]:
    """Find utterances with a weight that is negative or not finite.

    Args:
        weights: (B, T) without gradient, 0 at padding.

    Returns:
        None on the CPU, where there is no such; else, without a wait, (B, 1) True at
        them.

    Raises:
        InputError: on the CPU, naming the first.
    """
    if not _is_seen(weights):
        return ~((weights >= 0) & (weights < torch.inf)).all(1, keepdim=True)
    low, high = weights.aminmax()  # a nan makes both nan
    if (low >= 0) & (high < torch.inf):
        return None
    utterance, frame = (~((weights >= 0) & weights.isfinite())).nonzero()[0].tolist()
    value = weights[utterance, frame].item()
    raise InputError(
        f"alpha must be finite and not negative, not {value} at frame {frame} of "
        f"utterance {utterance}"
    )


def _is_seen(tensor: torch.Tensor) -> bool:
    """Whether the host sees values without a wait."""
    return tensor.device.type == "cpu"


def read_lengths(
    lengths: torch.Tensor, target_lengths: torch.Tensor, longest: int
) -> Tuple[List[int], List[int]]:
    """Return both (B,) as lists; from one device in one transfer, for which it waits.

    Args:
        lengths: of the frames.
        target_lengths: numbers of tokens.
        longest: T.

    Raises:
        InputError: they do not fit.
    """
    if lengths.device == target_lengths.device:
        frames, tokens = torch.stack([lengths, target_lengths]).tolist()
    else:
        frames, tokens = lengths.tolist(), target_lengths.tolist()
    if not all(0 <= number <= longest for number in frames):
        raise InputError(f"lengths must be 0..{longest}, not {frames}")
    if any(u < 0 or (u and not t) for t, u in zip(frames, tokens)):
        raise InputError(
            "target_lengths must not be negative, and 0 where there are no frames, "
            f"not {tokens} for {frames} frames"
        )
    return frames, tokens
