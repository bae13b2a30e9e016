"""Kaldi-style data directories: tables of "key value" lines and the checks on them."""

import os
from pathlib import Path

from espnet_lmkd.errors import InputError

# What a directory of recordings holds; without a text they are unlabelled.
RECORDINGS = ("wav.scp", "utt2spk", "text")
# What stage 3 makes of it.
PREPARED = (*RECORDINGS, "feats.scp", "utt2dur", "utt2num_samples")


def read_table(path):
    """Read a table of "key value" lines sorted by key in byte order (LC_ALL=C).

    Args:
        path: A file such as `wav.scp`, `text` or `utt2spk`.

    Returns:
        dict[str, str]: Key to the rest of its line, in the order of the file.

    Raises:
        InputError: No such file, or a line that has no value, repeats a key or is out
            of order.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: a table was wanted but there is no such file")
    table = {}
    previous = ""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            key, _, value = line.strip().partition(" ")
            where = f"{path}:{number}"
            if not value.strip():
                raise InputError(
                    f"{where}: utterance '{key}' has an empty {path.name};"
                    " complete or remove the line"
                    if key
                    else f"{where}: the line is empty; remove it"
                )
            if key in table:
                raise InputError(f"{where}: duplicate id '{key}'; remove one of them")
            if key < previous:
                raise InputError(
                    f"{where}: not sorted, '{key}' comes after '{previous}';"
                    f" run: LC_ALL=C sort -o {path} {path}"
                )
            table[key] = value.strip()
            previous = key
    return table


def write_table(path, mapping):
    """Write "key value" lines sorted by key; the file appears complete or not at all.

    Args:
        path: The file to write; its folder is made.
        mapping: Key to value.
    """
    write_lines(path, (f"{key} {mapping[key]}" for key in sorted(mapping)))


def write_lines(path, lines):
    """Write lines of text; the file appears complete or not at all.

    Args:
        path: The file to write; its folder is made.
        lines: Iterable of str without line ends.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    with unfinished.open("w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in lines)
    os.replace(unfinished, path)


def spk2utt(utt2spk):
    """Turn utterance -> speaker into speaker -> utterances joined by spaces.

    Example:
        >>> spk2utt({"a-1": "a", "a-2": "a", "b-1": "b"})
        {'a': 'a-1 a-2', 'b': 'b-1'}
    """
    utterances = {}
    for utterance, speaker in sorted(utt2spk.items()):
        utterances.setdefault(speaker, []).append(utterance)
    return {speaker: " ".join(ids) for speaker, ids in utterances.items()}


def write_directory(data_dir, tables, utterances=None):
    """Write a data directory, `spk2utt` included.

    Args:
        data_dir: The directory to make.
        tables: File name ("wav.scp", "text", "utt2spk", ...) to its table.
        utterances: The utterances to keep; all of them when None.
    """
    for name, table in tables.items():
        if utterances is not None:
            table = {utterance: table[utterance] for utterance in utterances}
        write_table(Path(data_dir) / name, table)
        if name == "utt2spk":
            write_table(Path(data_dir) / "spk2utt", spk2utt(table))


def validate(data_dir, files=("wav.scp", "text", "utt2spk")):
    """Check that all files have the same utterances, and that their audio exists.

    Args:
        data_dir: The directory to check.
        files: The tables it must hold.

    Returns:
        dict[str, dict[str, str]]: File name to its table.

    Raises:
        InputError: Naming the file and the utterance.
    """
    data_dir = Path(data_dir)
    tables = {name: read_table(data_dir / name) for name in files}
    first = files[0]
    if not tables[first]:
        raise InputError(
            f"{data_dir / first}: empty data directory; run stage 1 (local/data.sh)"
        )
    for name in files[1:]:
        for one, other in ((first, name), (name, first)):
            lacking = sorted(tables[one].keys() - tables[other].keys())
            if lacking:
                raise InputError(
                    f"{data_dir}: utterance '{lacking[0]}' is in {one} but not in"
                    f" {other} ({len(lacking)} such); add it there or remove it here"
                )
    for utterance, wav in tables.get("wav.scp", {}).items():
        where = f"{data_dir / 'wav.scp'}: utterance '{utterance}'"
        if "|" in wav:
            raise InputError(
                f"{where} is the command '{wav}', but plain paths are wanted;"
                " write the audio to a file first"
            )
        if "/" in utterance:
            raise InputError(f"{where} has a '/' in its id; ids become file names")
        if not Path(wav).is_file():
            raise InputError(
                f"{where} wants {wav}, which does not exist; restore the file or"
                " remove the utterance from every file of the directory"
            )
    return tables


def read_directory(data_dir, files=RECORDINGS):
    """Read and check those tables of a data directory that are there.

    Args:
        data_dir: The directory to read.
        files: The tables to look for; the first two must be there.

    Returns:
        dict[str, dict[str, str]]: File name to its table.

    Raises:
        InputError: As `validate`.
    """
    others = [name for name in files[2:] if Path(data_dir, name).is_file()]
    return validate(data_dir, [*files[:2], *others])
