"""What an extraction is going to write, settled before the teacher does any work."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.store import unperturbed
from espnet_lmkd.targets.vocabulary import normalize_space, text_hash


@dataclass(frozen=True)
class Unit:
    """A text that occurs at least once: extracted once, shared by its utterances.

    Args:
        key: `text_hash` of the text.
        ids: The student's token ids.
    """

    key: str
    ids: tuple


@dataclass(frozen=True)
class Plan:
    """The units of an extraction in their order, and all that decides their arrays.

    Args:
        header: The manifest's own entries: teacher, tokenizer, top_k, ...
        dims: Width of each array of `TARGETS` that is written.
        hashes: `text_hash` of each utterance, dropped ones included.
        units: Sorted by length, then key: batches hold sentences of like length.
        dropped: Reason for each utterance without targets.
        shard_size: Number of units in a shard.
    """

    header: dict
    dims: dict
    hashes: dict
    units: tuple
    dropped: dict
    shard_size: int

    @cached_property
    def shards(self) -> list:
        """The units of each shard."""
        starts = range(0, len(self.units), self.shard_size)
        return [self.units[i : i + self.shard_size] for i in starts]

    @cached_property
    def num_tokens(self) -> int:
        """Number of tokens of all units."""
        return sum(len(unit.ids) for unit in self.units)

    def shard_key(self, index) -> str:
        """Return a digest of all that decides the bytes of a shard."""
        units = [(unit.key, unit.ids) for unit in self.shards[index]]
        content = json.dumps([self.header, self.dims, units], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def num_bytes(self) -> int:
        """Estimate the size of the store: arrays, their headers and the tables."""
        row = sum(
            np.dtype(TARGETS[name].dtype).itemsize * dim
            for name, dim in self.dims.items()
        )
        tables = sum(80 + 3 * len(utterance) for utterance in self.hashes)
        return self.num_tokens * row + len(self.units) * len(self.dims) * 200 + tables

    def check_disk(self, folder) -> str:
        """Return the estimate in words.

        Raises:
            InputError: If the disk of ``folder`` has less room than the estimate.
        """
        existing = Path(folder).absolute()
        while not existing.exists():
            existing = existing.parent
        wanted, free = self.num_bytes() / 1e6, shutil.disk_usage(existing).free / 1e6
        estimate = (
            f"{len(self.hashes)} utterances, {len(self.units)} different texts,"
            f" {self.num_tokens} tokens: about {wanted:.1f} MB in {folder},"
            f" {free:.0f} MB free"
        )
        if wanted > free:
            raise InputError(
                f"the disk is too small: {estimate}; free some or lower --top_k"
            )
        return estimate


def make_plan(
    texts,
    tokenizer,
    header,
    dims,
    max_tokens,
    drop_too_long=False,
    shard_size=1000,
) -> Plan:
    """Settle what to extract: each different text once, sorted by length.

    Args:
        texts: Text of each utterance; speed-perturbed copies fall together with
            their original.
        tokenizer: `StudentTokenizer`.
        header: The manifest's own entries.
        dims: Width of each array, by name.
        max_tokens: Longest sentence that the teacher takes, in tokens.
        drop_too_long: Drop longer ones instead of raising.
        shard_size: Number of units in a shard.

    Raises:
        InputError: If a text is empty or too long, or two copies of an utterance
            have different texts.
    """
    texts = _merge_copies(texts)
    hashes, units, dropped = {}, {}, {}
    for utterance, text in texts.items():
        key = hashes[utterance] = text_hash(text)
        ids = tuple(tokenizer.ids(text))
        if not ids:
            raise InputError(f"utterance {utterance!r} has an empty text; remove it")
        if units.setdefault(key, Unit(key, ids)).ids != ids:
            raise InputError(
                f"white space changes the tokens of utterance {utterance!r};"
                f" write its text as {normalize_space(text)!r}"
            )
        if len(ids) > max_tokens:
            dropped[utterance] = f"{len(ids)} tokens, the teacher takes {max_tokens}"
    if dropped and not drop_too_long:
        utterance, reason = min(dropped.items())
        raise InputError(
            f"{len(dropped)} utterances are too long for the teacher, first"
            f" {utterance!r} ({reason}); give --drop_too_long to leave them"
            " without targets"
        )
    kept = [unit for unit in units.values() if len(unit.ids) <= max_tokens]
    if not kept:
        raise InputError("no utterance is left to extract targets for")
    kept.sort(key=lambda unit: (len(unit.ids), unit.key))
    return Plan(header, dims, hashes, tuple(kept), dropped, shard_size)


def _merge_copies(texts):
    merged = {}
    for utterance, text in texts.items():
        original = unperturbed(utterance)
        if merged.setdefault(original, text) != text:
            raise InputError(
                f"utterance {utterance!r} and another copy of {original!r} have"
                " different texts; run stage 2 again"
            )
    return merged
