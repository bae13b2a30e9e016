"""Several prepared data directories as one."""

from pathlib import Path

from espnet_lmkd.data.directory import (
    PREPARED,
    read_directory,
    write_directory,
    write_lines,
)
from espnet_lmkd.errors import InputError


def combine_directories(data_dirs, out):
    """Write the utterances of several data directories into one.

    Args:
        data_dirs: Directories of stage 3, such as dump/raw/train.
        out: Directory to write, with the same tables.

    Returns:
        int: Number of utterances.

    Raises:
        InputError: An invalid directory, two with other tables or features, or an
            utterance that is in two of them.
    """
    first, combined = data_dirs[0], {}
    kind = _feats_type(first)
    for data_dir in data_dirs:
        tables = read_directory(data_dir, PREPARED)
        if combined and (tables.keys(), _feats_type(data_dir)) != (
            combined.keys(),
            kind,
        ):
            raise InputError(
                f"{data_dir} has {', '.join(tables)} of {_feats_type(data_dir)} audio,"
                f" {first} has {', '.join(combined)} of {kind}; prepare them alike"
                " (stage 3)"
            )
        for name, table in tables.items():
            before = combined.setdefault(name, {})
            twice = sorted(before.keys() & table.keys())
            if twice:
                raise InputError(
                    f"{data_dir}: utterance '{twice[0]}' is in another of the"
                    f" directories, too ({len(twice)} such); give each utterance once"
                )
            before.update(table)
    write_directory(out, combined)
    write_lines(Path(out) / "feats_type", [kind])
    return len(combined["wav.scp"])


def _feats_type(data_dir):
    path = Path(data_dir, "feats_type")
    return path.read_text(encoding="utf-8").strip() if path.is_file() else "raw"
