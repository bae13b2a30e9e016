"""What a target is: the arrays that extraction writes and training reads."""

from dataclasses import dataclass

import numpy as np

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Target:
    """One array of an utterance.

    Args:
        dtype: NumPy type on disk.
        rank: Number of axes; the first one counts the units of the side.
        side: ``text``: one row per token, keyed by the unperturbed utterance, so that
            speed-perturbed copies share it; ``frame``: keyed by the utterance itself.
        round_down: Store the largest representable number below the value.
    """

    dtype: str
    rank: int
    side: str
    round_down: bool = False


TARGETS = {
    "teacher_topk_ids": Target("int32", 2, "text"),
    # Rounded down, or K rounded probabilities might sum to 1 and more.
    "teacher_topk_log_probs": Target("float16", 2, "text", round_down=True),
    "teacher_hidden": Target("float16", 2, "text"),
}

# What `extract_targets --targets` asks for, and the arrays it gives.
KINDS = {
    "teacher_topk": ("teacher_topk_ids", "teacher_topk_log_probs"),
    "teacher_hidden": ("teacher_hidden",),
}


def to_stored(name, array) -> np.ndarray:
    """Convert an array to the type in which the target ``name`` is stored.

    Args:
        name: A key of `TARGETS`.
        array: (L, dim) of any real type.

    Returns:
        (L, dim) array of the target's dtype.

    Example:
        >>> to_stored("teacher_topk_log_probs", np.array([[-1e-9]])) < 0
        array([[ True]])
    """
    target = TARGETS[name]
    stored = np.ascontiguousarray(array, dtype=target.dtype)
    if target.round_down:
        below = np.nextafter(stored, np.array(-np.inf, dtype=target.dtype))
        stored = np.where(stored >= array, below, stored)
    return stored
