"""Writing a target store so that a kill at any point costs at most one shard.

Each shard is written to a temporary name, synced and renamed; its own json comes last
and holds a digest of all that decided its bytes. A rerun keeps the shards whose digest
and SHA-256 still hold and writes the others, so it ends in the same bytes.
"""

import json
import re
from contextlib import ExitStack
from dataclasses import asdict
from math import sqrt
from pathlib import Path

from tqdm import tqdm

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.ark import ark_writer, replacing
from espnet_lmkd.targets.check import file_sha256
from espnet_lmkd.targets.schema import SCHEMA_VERSION, TARGETS
from espnet_lmkd.targets.store import RERUN


def write_shards(plan, store, compute, job=1, nj=1):
    """Write the shards ``job - 1``, ``job - 1 + nj``, ... that are not there yet.

    Args:
        plan: `Plan` of the extraction.
        store: Folder of the store.
        compute: Takes the sources of all units of a shard and yields, for each in
            turn, its arrays: ``{name: (L, dim)}``, L tokens of the student, (L + 1,
            dim) where ``eos`` is in the header; on the frame side (T + L, dim), T
            frames of the teacher.
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
    of_units = {f"{name}.scp": place for name, place in places.items()}
    of_units["utt2num_tokens"] = {unit.key: len(unit.ids) for unit in plan.units}
    num_rows = plan.num_tokens + plan.has_eos * len(plan.units)
    if plan.on_frame_side:
        frames = [count for shard in shards for count in shard["frames"]]
        of_units["utt2num_frames"] = dict(zip((u.key for u in plan.units), frames))
        num_rows += sum(frames)
    kept = {u: key for u, key in plan.keys.items() if u not in plan.dropped}

    for name, values in of_units.items():
        write_table(store / name, {u: values[key] for u, key in kept.items()})
    for name, table in plan.tables.items():
        write_table(store / name, table)
    _remove_leftovers(plan, store)
    write_json(
        store / "manifest.json",
        {
            "schema": SCHEMA_VERSION,
            "targets": {
                name: {"dtype": plan.dtypes[name], "dim": dim}
                for name, dim in plan.dims.items()
            },
            "storage": {name: _storage(shards, name, num_rows) for name in plan.dims},
            "coverage": asdict(plan.coverage) if plan.coverage else None,
            **plan.header,
            "num_utterances": len(plan.keys),
            "num_units": len(plan.units),
            "num_tokens": plan.num_tokens,
            "num_rows": num_rows,
            "dropped": plan.dropped,
            "shards": [file for shard in shards for file in shard["files"]],
        },
    )


def write_json(path, value):
    """Write ``value`` to a json file in one step that a kill cannot tear."""
    with replacing(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


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
    paths = {name: store / _ark(name, index) for name in plan.dims}
    frames = []
    with ExitStack() as stack:
        arks = {
            name: stack.enter_context(ark_writer(path, name, plan.dtypes[name]))
            for name, path in paths.items()
        }
        results = compute([unit.source for unit in units])
        for unit, arrays in zip(units, results, strict=True):
            rows = len(unit.ids) + plan.has_eos
            if plan.on_frame_side:
                frames.append(_num_frames(unit, arrays))
                rows += frames[-1]
            for name, ark in arks.items():
                shape = arrays[name].shape
                if shape != (rows, plan.dims[name]):
                    raise ValueError(f"{name} of {unit.key} has shape {shape}")
                ark.add(unit.key, arrays[name])
            progress.update(len(unit.ids))
    write_json(
        store / _shard_json(index),
        {
            "key": plan.shard_key(index),
            "offsets": {name: ark.offsets for name, ark in arks.items()},
            "squares": {name: ark.squares for name, ark in arks.items()},
            "files": [file_record(path) for path in paths.values()],
            **({"frames": frames} if plan.on_frame_side else {}),
        },
    )


def _num_frames(unit, arrays):
    """Return T, known from where the path ends: at (T - 1, L)."""
    frame, labels = (int(x) for x in arrays["teacher_path"][-1])
    if labels != len(unit.ids):
        raise ValueError(f"the path of {unit.key} ends after {labels} labels")
    return frame + 1


def _storage(shards, name, num_rows):
    """Return what a target costs and how far it is from what the teacher said."""
    files = [file for shard in shards for file in shard["files"]]
    errors, totals = zip(*(shard["squares"][name] for shard in shards))
    return {
        "bytes_per_row": bytes_per_row(files, name, num_rows),
        "relative_error": round(sqrt(sum(errors) / max(sum(totals), 1e-30)), 6),
    }


def bytes_per_row(files, name, num_rows) -> float:
    """Return what a row of a target takes in its shards, headers included."""
    mine = (file["bytes"] for file in files if file["file"].startswith(f"{name}."))
    return round(sum(mine) / num_rows, 3)


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
