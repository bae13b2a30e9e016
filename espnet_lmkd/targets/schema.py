"""What a target is: the arrays that extraction writes and training reads."""

from dataclasses import dataclass

import numpy as np

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Target:
    """One array of an utterance.

    Args:
        dtype: NumPy type on disk, if a store's manifest names no other.
        rank: Number of axes; the first one counts the units of the side.
        side: ``text``: one row per token of the student, keyed by the unperturbed
            utterance, so that speed-perturbed copies share it; ``teacher``: likewise,
            but the teacher's tokens; ``frame``: keyed by the utterance itself.
        round_down: Store the largest representable number below the value.
        eos_row: Whether a store may have one more row, for the end of the sentence.
    """

    dtype: str
    rank: int
    side: str
    round_down: bool = False
    eos_row: bool = False


TARGETS = {
    "teacher_topk_ids": Target("int32", 2, "text"),
    # Rounded down, or K rounded probabilities might sum to 1 and more.
    "teacher_topk_log_probs": Target("float16", 2, "text", round_down=True),
    "teacher_hidden": Target("float16", 2, "text", eos_row=True),
    # The text in the teacher's own tokens, with what it says of each.
    "teacher_tokens": Target("int32", 2, "teacher"),
    "teacher_tokens_topk_ids": Target("int32", 2, "teacher"),
    "teacher_tokens_topk_log_probs": Target("float16", 2, "teacher", round_down=True),
    # A path through a transducer's lattice: (t, u) of each node, what it says there.
    "teacher_path": Target("int32", 2, "frame"),
    "teacher_path_topk_ids": Target("int32", 2, "frame"),
    "teacher_path_topk_log_probs": Target("float16", 2, "frame", round_down=True),
}

# int8: with a scale for each column, deflated; see `espnet_lmkd.targets.ark`.
HIDDEN_DTYPES = ("float16", "int8")

# What `extract_targets --targets` asks for, and the arrays it gives.
KINDS = {
    "teacher_topk": ("teacher_topk_ids", "teacher_topk_log_probs"),
    "teacher_hidden": ("teacher_hidden",),
    "teacher_tokens_topk": (
        "teacher_tokens",
        "teacher_tokens_topk_ids",
        "teacher_tokens_topk_log_probs",
    ),
    "teacher_path_topk": (
        "teacher_path",
        "teacher_path_topk_ids",
        "teacher_path_topk_log_probs",
    ),
}


def to_stored(name, array, dtype=None) -> np.ndarray:
    """Convert an array to the type in which the target ``name`` is stored.

    Args:
        name: A key of `TARGETS`.
        array: (L, dim) of any real type; one of this dtype has been stored before.
        dtype: NumPy type, by default the target's.

    Returns:
        (L, dim) array of this dtype.

    Example:
        >>> to_stored("teacher_topk_log_probs", np.array([[-1e-9]])) < 0
        array([[ True]])
    """
    stored = np.ascontiguousarray(array, dtype=dtype or TARGETS[name].dtype)
    if TARGETS[name].round_down and array.dtype != stored.dtype:
        below = np.nextafter(stored, np.array(-np.inf, dtype=stored.dtype))
        stored = np.where(stored >= array, below, stored)
    return stored
