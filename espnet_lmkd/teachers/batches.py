"""Putting sentences of like length into one tensor."""

import numpy as np
import torch


def default_batch_tokens(device) -> int:
    """Return the most tokens of a batch: few on a CPU, whose caches are small."""
    return 1024 if device == "cpu" else 8192


def batches_of(items, lengths, batch_tokens):
    """Yield lists of neighbouring items whose padded size is at most ``batch_tokens``.

    Args:
        items: Iterable of anything.
        lengths: Number of tokens of each item, without the two special ones.
        batch_tokens: Upper bound of rows times longest; one item always fits.

    Example:
        >>> list(batches_of("abcd", [1, 2, 2, 9], 8))
        [['a', 'b'], ['c'], ['d']]
    """
    batch, longest = [], 0
    for item, length in zip(items, lengths):
        if batch and (len(batch) + 1) * (max(longest, length) + 2) > batch_tokens:
            yield batch
            batch, longest = [], 0
        batch.append(item)
        longest = max(longest, length)
    if batch:
        yield batch


def pad(sentences, prefix, suffix, pad_id, device) -> dict:
    """Return what a model reads: ``input_ids`` and ``attention_mask``, both (B, T).

    Args:
        sentences: Token ids of each.
        prefix: Ids in front of each.
        suffix: Ids behind each.
        pad_id: Id that fills the rest.
        device: Where the tensors go.

    Example:
        >>> pad([[5], [5, 6]], [1], [2], 0, "cpu")["input_ids"].tolist()
        [[1, 5, 2, 0], [1, 5, 6, 2]]
    """
    rows = [[*prefix, *sentence, *suffix] for sentence in sentences]
    shape = (len(rows), max(map(len, rows)))
    ids = np.full(shape, pad_id, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for row, (values, used) in zip(rows, zip(ids, mask)):
        values[: len(row)] = row
        used[: len(row)] = 1
    return {
        "input_ids": torch.from_numpy(ids).to(device),
        "attention_mask": torch.from_numpy(mask).to(device),
    }
