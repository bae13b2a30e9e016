"""Writing a target store so that a kill at any point costs at most one shard.

Each shard is written to a temporary name, synced and renamed; its own json comes last
and holds a digest of all that decided its bytes. A rerun keeps the shards whose digest
and SHA-256 still hold and writes the others, so it ends in the same bytes.
"""

import json
import os
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path

import kaldiio
from tqdm import tqdm

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import file_sha256
from espnet_lmkd.targets.schema import SCHEMA_VERSION, TARGETS, to_stored
from espnet_lmkd.targets.store import RERUN


def write_shards(plan, store, compute, job=1, nj=1):
    """Write the shards ``job - 1``, ``job - 1 + nj``, ... that are not there yet.

    Args:
        plan: `Plan` of the extraction.
        store: Folder of the store.
        compute: Takes the token ids of all units of a shard and yields, for each in
            turn, its arrays: ``{name: (L, dim)}``.
        job: 1 .. nj.
        nj: Number of jobs that share the shards.
    """
    store = Path(store)
    store.mkdir(parents=True, exist_ok=True)
    todo = [
        index
        for index in range(job - 1, len(plan.shards), nj)
        if _finished_shard(plan, store, index) is None
    ]
    if todo:
        # From here until the merge the store is unfinished.
        Path(store, "manifest.json").unlink(missing_ok=True)
    tokens = sum(len(unit.ids) for index in todo for unit in plan.shards[index])
    with tqdm(total=tokens, unit="token", desc=f"targets {job}/{nj}") as progress:
        for index in todo:
            _write_shard(plan, store, index, compute, progress)


def merge(plan, store):
    """Write the tables and, last, the manifest of a store with all its shards.

    Raises:
        InputError: If a shard is missing or belongs to another extraction.
    """
    store = Path(store)
    shards = [_finished_shard(plan, store, index) for index in range(len(plan.shards))]
    if None in shards:
        raise InputError(
            f"{store}: {shards.count(None)} of {len(shards)} shards are missing,"
            f" corrupt or of another extraction, first number {shards.index(None)};"
            f" {RERUN}"
        )
    places = {name: {} for name in plan.dims}
    for index, (units, shard) in enumerate(zip(plan.shards, shards)):
        for name, offsets in shard["offsets"].items():
            for unit, offset in zip(units, offsets):
                places[name][unit.key] = f"{_ark(name, index)}:{offset}"
    lengths = {unit.key: len(unit.ids) for unit in plan.units}
    kept = {u: key for u, key in plan.hashes.items() if u not in plan.dropped}

    for name, place in places.items():
        write_table(store / f"{name}.scp", {u: place[key] for u, key in kept.items()})
    write_table(store / "text_hash", plan.hashes)
    write_table(
        store / "utt2num_tokens", {u: str(lengths[key]) for u, key in kept.items()}
    )
    _remove_leftovers(plan, store)
    write_json(
        store / "manifest.json",
        {
            "schema": SCHEMA_VERSION,
            "targets": {
                name: {"dtype": TARGETS[name].dtype, "dim": dim}
                for name, dim in plan.dims.items()
            },
            **plan.header,
            "num_utterances": len(plan.hashes),
            "num_units": len(plan.units),
            "num_tokens": plan.num_tokens,
            "dropped": plan.dropped,
            "shards": [file for shard in shards for file in shard["files"]],
        },
    )


def write_json(path, value):
    """Write ``value`` to a json file in one step that a kill cannot tear."""
    with replacing(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


@contextmanager
def replacing(path):
    """Open a temporary file that, once whole and on the disk, replaces ``path``."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _ark(name, index):
    return f"{name}.{index}.ark"


def _shard_json(index):
    return f"shard.{index}.json"


def _finished_shard(plan, store, index):
    """Return the json of a shard that this plan would write again, or None."""
    path = store / _shard_json(index)
    if not path.is_file():
        return None
    shard = json.loads(path.read_text(encoding="utf-8"))
    whole = shard["key"] == plan.shard_key(index) and all(
        (store / file["file"]).is_file()
        and file_sha256(store / file["file"]) == file["sha256"]
        for file in shard["files"]
    )
    return shard if whole else None


def _write_shard(plan, store, index, compute, progress):
    (store / _shard_json(index)).unlink(missing_ok=True)
    units = plan.shards[index]
    arks = {name: store / _ark(name, index) for name in plan.dims}
    offsets = {name: [] for name in plan.dims}
    with ExitStack() as stack:
        files = {n: stack.enter_context(replacing(ark)) for n, ark in arks.items()}
        results = compute([unit.ids for unit in units])
        for unit, arrays in zip(units, results, strict=True):
            for name, file in files.items():
                array = to_stored(name, arrays[name])
                if array.shape != (len(unit.ids), plan.dims[name]):
                    raise ValueError(f"{name} of {unit.key} has shape {array.shape}")
                offsets[name].append(append_array(file, unit.key, array))
            progress.update(len(unit.ids))
    files = [file_record(ark) for ark in arks.values()]
    write_json(
        store / _shard_json(index),
        {"key": plan.shard_key(index), "offsets": offsets, "files": files},
    )


def append_array(file, key, array) -> int:
    """Append an array to an open ark and return the offset for its scp entry."""
    offset = file.tell() + len(key) + 1
    kaldiio.save_ark(file, {key: array}, write_function="numpy")
    return offset


def file_record(path) -> dict:
    """Return what a manifest says of a shard: its name, size and SHA-256."""
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }


def _remove_leftovers(plan, store):
    """Remove torn files and the shards of an earlier, larger extraction."""
    wanted = {f"{name}.scp" for name in plan.dims}
    for index in range(len(plan.shards)):
        wanted |= {_shard_json(index), *(_ark(name, index) for name in plan.dims)}
    names = "|".join(TARGETS)
    ours = re.compile(rf"(shard\.\d+\.json|({names})\.(scp|\d+\.ark))(\.tmp)?")
    for path in store.iterdir():
        if ours.fullmatch(path.name) and path.name not in wanted:
            path.unlink()
