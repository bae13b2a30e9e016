"""What an extraction is going to write, settled before the teacher does any work."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from espnet_lmkd.alignment.coverage import Coverage
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.schema import SCHEMA_VERSION, TARGETS
from espnet_lmkd.targets.store import unperturbed
from espnet_lmkd.targets.vocabulary import normalize_space, text_hash


@dataclass(frozen=True)
class Unit:
    """A text, extracted once for all its utterances; on the frame side an utterance.

    Args:
        key: `text_hash` of the text, or the utterance.
        ids: The student's token ids.
        source: What the teacher reads, as settled by `make_plan` or `make_frame_plan`.
        source_length: Number of tokens, or about the number of frames, that it sees.
    """

    key: str
    ids: tuple
    source: tuple
    source_length: int


@dataclass(frozen=True)
class Plan:
    """The units of an extraction in their order, and all that decides their arrays.

    Args:
        header: The manifest's own entries: teacher, tokenizer, top_k, ...
        dims: Width of each array of `TARGETS` that is written.
        dtypes: NumPy type of each on disk.
        keys: Unit's key of each utterance, dropped ones included.
        tables: What the store says of each of them: ``text_hash`` and the like.
        units: Sorted by the teacher's length, then key: batches hold sources of like
            length.
        dropped: Reason for each utterance without targets.
        shard_size: Number of units in a shard.
        coverage: How student and teacher tokens lie over each other, if counted.
    """

    header: dict
    dims: dict
    dtypes: dict
    keys: dict
    tables: dict
    units: tuple
    dropped: dict
    shard_size: int
    coverage: Coverage | None = None

    @cached_property
    def shards(self) -> list:
        """The units of each shard."""
        starts = range(0, len(self.units), self.shard_size)
        return [self.units[i : i + self.shard_size] for i in starts]

    @cached_property
    def num_tokens(self) -> int:
        """Number of tokens of all units."""
        return sum(len(unit.ids) for unit in self.units)

    @property
    def has_eos(self) -> bool:
        """Whether there is one more row for the end of the sentence."""
        return self.header.get("eos", False)

    @property
    def on_frame_side(self) -> bool:
        """Whether rows are nodes of a path: one for each token and each frame."""
        return any(TARGETS[name].side == "frame" for name in self.dims)

    @property
    def num_frames(self) -> int:
        """About the number of the teacher's frames; 0 on the text side."""
        return self.on_frame_side * sum(unit.source_length for unit in self.units)

    def shard_key(self, index) -> str:
        """Return a digest of all that decides the bytes of a shard."""
        units = [vars(unit) for unit in self.shards[index]]
        settings = [SCHEMA_VERSION, self.header, self.dims, self.dtypes]
        content = json.dumps([*settings, units], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def num_bytes(self) -> int:
        """Estimate the size of the store: arrays, their headers and the tables."""
        row = sum(
            np.dtype(self.dtypes[name]).itemsize * dim
            for name, dim in self.dims.items()
        )
        rows = self.num_tokens + self.num_frames + self.has_eos * len(self.units)
        tables = sum(80 + 3 * len(utterance) for utterance in self.keys)
        return rows * row + len(self.units) * len(self.dims) * 200 + tables

    def estimate(self, folder) -> str:
        """Say what the store takes and how much room the disk of ``folder`` has."""
        units = f"{len(self.units)} different texts"
        if self.on_frame_side:
            units = f"about {self.num_frames} frames"
        return (
            f"{len(self.keys)} utterances, {units}, {self.num_tokens} tokens: about"
            f" {self.num_bytes() / 1e6:.1f} MB in {folder},"
            f" {_free_bytes(folder) / 1e6:.0f} MB free"
        )

    def check_disk(self, folder) -> str:
        """Return the estimate in words.

        Raises:
            InputError: If the disk of ``folder`` has less room than the estimate.
        """
        estimate = self.estimate(folder)
        if self.num_bytes() > _free_bytes(folder):
            raise InputError(
                f"the disk is too small: {estimate}; free some, lower --top_k or give"
                " --hidden_dtype int8"
            )
        return estimate


def _free_bytes(folder) -> int:
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def make_plan(
    texts,
    tokenizer,
    header,
    dims,
    max_tokens,
    drop_too_long=False,
    shard_size=1000,
    dtypes=None,
    read=None,
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
        dtypes: NumPy type of each array on disk, by default that of `TARGETS`.
        read: Gives, for a text and the student's token ids, what the teacher reads and
            its number of tokens; by default it reads the student's ids.

    Raises:
        InputError: If a text is empty or too long, or cannot be read, or two copies of
            an utterance have different texts.
    """
    read = read or (lambda text, ids: (ids, len(ids)))
    texts = _merge_copies(texts)
    hashes, units, dropped = {}, {}, {}
    for utterance, text in texts.items():
        key = hashes[utterance] = text_hash(text)
        ids = tuple(tokenizer.ids(text))
        if not ids:
            raise InputError(f"utterance {utterance!r} has an empty text; remove it")
        if key not in units:
            try:
                units[key] = Unit(key, ids, *read(text, ids))
            except InputError as error:
                raise InputError(f"utterance {utterance!r}: {error}") from error
        if units[key].ids != ids:
            raise InputError(
                f"white space changes the tokens of utterance {utterance!r};"
                f" write its text as {normalize_space(text)!r}"
            )
        length = units[key].source_length
        if length > max_tokens:
            dropped[utterance] = f"{length} tokens, the teacher takes {max_tokens}"
    if dropped and not drop_too_long:
        utterance, reason = min(dropped.items())
        raise InputError(
            f"{len(dropped)} utterances are too long for the teacher, first"
            f" {utterance!r} ({reason}); give --drop_too_long to leave them"
            " without targets"
        )
    kept = [unit for unit in units.values() if unit.source_length <= max_tokens]
    if not kept:
        raise InputError("no utterance is left to extract targets for")
    kept.sort(key=lambda unit: (unit.source_length, unit.key))
    dtypes = dtypes or {name: TARGETS[name].dtype for name in dims}
    tables = {"text_hash": hashes}
    return Plan(header, dims, dtypes, hashes, tables, tuple(kept), dropped, shard_size)


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
