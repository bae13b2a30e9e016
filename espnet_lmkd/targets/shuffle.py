"""The shuffled-teacher control: what a teacher says, without what it is said of."""

import shutil
from itertools import accumulate
from pathlib import Path

import numpy as np

from espnet_lmkd.data.directory import read_table, write_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.ark import ark_writer
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.targets.writer import bytes_per_row, file_record, write_json

# The text and the path themselves stay, not what is said of them.
UNSHUFFLED = ("teacher_tokens", "teacher_path")
TABLES = ("text_hash", "audio_hash", "utt2num_tokens", "utt2num_frames")


def shuffle_store(source, out, seed):
    """Write a store whose rows are those of another, permuted over all its texts.

    All targets get the same permutation, and each text keeps its number of rows: how
    often a token is predicted and how sharply stay, only what it says of the text goes.
    On the frame side likewise: each utterance keeps its path, and the rows change
    places over the nodes of all paths.
    A student that learns as much from this store was regularised, not taught.

    Args:
        source: Folder of a finished store.
        out: Folder to write.
        seed: Seed of the permutation; the manifest's ``shuffled_seed``.

    Raises:
        InputError: If ``source`` is unfinished or corrupt, or is ``out`` itself.

    Example:
        >>> shuffle_store("dump/targets/a/train", "dump/targets/b/train", seed=0)
        ... # doctest: +SKIP
    """
    source, out = Path(source), Path(out)
    if source.resolve() == out.resolve():
        raise InputError(f"{out} is the store itself; give another --out")
    manifest = read_manifest(source)
    hashes = read_table(source / "text_hash")
    num_rows = manifest.get("num_rows", manifest["num_tokens"])
    order = np.random.default_rng(seed).permutation(num_rows)

    out.mkdir(parents=True, exist_ok=True)
    Path(out, "manifest.json").unlink(missing_ok=True)
    shards = []
    for name, target in manifest["targets"].items():
        reader = TargetReader(source / f"{name}.scp")
        units = _units_in_order(reader)
        arrays = [reader[utterance] for utterance in units]
        ends = list(accumulate(len(array) for array in arrays))
        if name not in UNSHUFFLED:
            arrays = np.split(np.concatenate(arrays)[order], ends[:-1])
        on_frame_side = TARGETS[name].side == "frame"

        by_shard, moved = {}, {}
        for utterance, array in zip(units, arrays):
            file = reader.places[utterance][0]
            by_shard.setdefault(file, []).append((utterance, array))
        for file, items in by_shard.items():
            with ark_writer(out / file, name, target["dtype"]) as ark:
                for utterance, array in items:
                    ark.add(utterance if on_frame_side else hashes[utterance], array)
            for (utterance, _), offset in zip(items, ark.offsets, strict=True):
                moved[reader.places[utterance]] = f"{file}:{offset}"
            shards.append(file_record(out / file))
        places = {key: moved[place] for key, place in reader.places.items()}
        write_table(out / f"{name}.scp", places)
    for table in TABLES:
        if (source / table).is_file():
            shutil.copyfile(source / table, out / table)
    storage = {
        name: {**of_source, "bytes_per_row": bytes_per_row(shards, name, num_rows)}
        for name, of_source in manifest["storage"].items()
    }
    write_json(
        out / "manifest.json",
        {**manifest, "shards": shards, "storage": storage, "shuffled_seed": seed},
    )


def _units_in_order(reader):
    """Return one utterance of each unit, in the order in which they were written."""
    unit_at = {place: utterance for utterance, place in reader.places.items()}

    def shard_and_offset(place):
        file, offset = place
        return int(file.split(".")[1]), offset

    return [unit_at[place] for place in sorted(unit_at, key=shard_and_offset)]
