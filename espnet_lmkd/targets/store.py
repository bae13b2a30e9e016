"""Reading a target store: `manifest.json`, `<name>.scp` and `<name>.<shard>.ark`."""

import json
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import kaldiio
import numpy as np

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.ark import SCALE_OFFSET, dequantize, inflate
from espnet_lmkd.targets.schema import SCHEMA_VERSION, TARGETS

RERUN = "rerun stage 7 (python3 -m espnet_lmkd.bin.extract_targets)"


def unperturbed(utterance) -> str:
    """Return the id of the utterance that a speed-perturbed copy was made from.

    Example:
        >>> unperturbed("sp0.9-84-121123-0001"), unperturbed("sp01-1")
        ('84-121123-0001', 'sp01-1')
    """
    return re.sub(r"^sp\d+\.\d+-", "", utterance)


def read_manifest(store) -> dict:
    """Read the manifest of a target store.

    Args:
        store: Folder of the store.

    Raises:
        InputError: If the store is missing, unfinished or of another schema.
    """
    path = Path(store, "manifest.json")
    if not path.is_file():
        raise InputError(f"{store} is no finished target store; {RERUN}")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("schema") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema {manifest.get('schema')} came, {SCHEMA_VERSION} was"
            f" wanted; {RERUN}"
        )
    return manifest


class TargetReader(Mapping):
    """Map an utterance to one of its targets; nothing on disk is ever executed.

    On the text side a speed-perturbed copy (``sp0.9-utt``) finds the array of ``utt``.
    An utterance that extraction dropped gives an array without rows. What is stored as
    int8 comes as float32.

    Args:
        scp_path: ``<store>/<name>.scp``.

    Raises:
        InputError: If the store is unfinished, a shard has not the size that the
            manifest states, or an entry points anywhere but into the store's shards.

    Example:
        >>> reader = TargetReader("dump/targets/bert/train/teacher_topk_ids.scp")
        ... # doctest: +SKIP
        >>> reader["sp0.9-84-121123-0001"].shape  # doctest: +SKIP
        (17, 8)
    """

    def __init__(self, scp_path):
        self.store = Path(scp_path).parent
        self.name = Path(scp_path).stem
        manifest = read_manifest(self.store)
        if self.name not in manifest["targets"]:
            raise InputError(
                f"{scp_path}: the store holds {', '.join(manifest['targets'])},"
                f" not {self.name}"
            )
        self.dim = manifest["targets"][self.name]["dim"]
        self.dtype = np.dtype(manifest["targets"][self.name]["dtype"])
        self.dropped = manifest["dropped"]

        self._shards = self._check_shards(manifest)
        self.places = self._read_scp(scp_path)
        self._scales = {}

    def __getitem__(self, utterance):
        key = self._resolve(utterance)
        if key in self.dropped:
            dtype = np.float32 if self.dtype == np.int8 else self.dtype
            return np.zeros((0, self.dim), dtype)
        if key not in self.places:
            raise InputError(
                f"utterance {utterance!r} is not in the target store {self.store};"
                f" {RERUN}"
            )
        file, offset = self.places[key]
        if self.dtype != np.int8:
            array = self._read(file, offset)
            self._check(file, offset, array, self.dtype, TARGETS[self.name].rank)
            return array
        if file not in self._scales:
            scale = self._read(file, SCALE_OFFSET)
            self._check(file, SCALE_OFFSET, scale, np.float32, 1)
            self._scales[file] = scale
        try:
            array = inflate(self._read(file, offset), self.dim)
        except (zlib.error, ValueError, TypeError) as error:
            raise self._corrupt(file, offset, error) from error
        return dequantize(array, self._scales[file])

    def __contains__(self, utterance):
        key = self._resolve(utterance)
        return key in self.places or key in self.dropped

    def __iter__(self):
        yield from self.places
        yield from self.dropped

    def __len__(self):
        return len(self.places) + len(self.dropped)

    def _resolve(self, utterance):
        if utterance in self.places or TARGETS[self.name].side == "frame":
            return utterance
        return unperturbed(utterance)

    def _check_shards(self, manifest):
        shards = set()
        for shard in manifest["shards"]:
            if not shard["file"].startswith(f"{self.name}."):
                continue
            path = self.store / shard["file"]
            if not path.is_file() or path.stat().st_size != shard["bytes"]:
                raise InputError(
                    f"{path} is missing or not the {shard['bytes']} bytes long"
                    f" that the manifest states; {RERUN}"
                )
            shards.add(shard["file"])
        return shards

    def _read_scp(self, scp_path):
        entries = {}
        for utterance, entry in read_table(scp_path).items():
            file, _, offset = entry.rpartition(":")
            # Only the manifest's own shards: no command, no path out of the store.
            if file not in self._shards or not offset.isdecimal():
                raise InputError(
                    f"{scp_path}: entry {entry!r} of utterance {utterance!r} is no"
                    f" place in a shard of this store; {RERUN}"
                )
            entries[utterance] = (file, int(offset))
        return entries

    def _read(self, file, offset):
        # Opened anew: a large store has more shards than a process may hold open.
        with open(self.store / file, "rb") as handle:
            handle.seek(offset)
            # kaldiio also unpickles: whatever is not plain NumPy stays undecoded.
            if handle.read(3) != b"NPY":
                raise self._corrupt(file, offset, "no NumPy array begins there")
            handle.seek(offset)
            try:
                return kaldiio.matio.read_kaldi(handle)
            except (ValueError, EOFError, OSError, struct.error) as error:
                raise self._corrupt(file, offset, error) from error

    def _check(self, file, offset, array, dtype, rank):
        wanted = (np.dtype(dtype), rank, (self.dim,))
        # A zip archive would decode to something that is no array.
        if not isinstance(array, np.ndarray) or wanted != (
            array.dtype,
            array.ndim,
            array.shape[-1:],
        ):
            raise self._corrupt(file, offset, f"{type(array).__name__} of another type")

    def _corrupt(self, file, offset, reason):
        return InputError(
            f"{self.store / file}:{offset} is corrupt ({reason}); {RERUN}"
        )
