"""Write the data directories of mini AN4: one training utterance is for development."""

import argparse
import importlib.metadata
import os
import shutil
import zipfile
from pathlib import Path

from an4_layout import join, read_part

from espnet_lmkd.data.archive import extract
from espnet_lmkd.data.corpus import write_lm_text, write_sets
from espnet_lmkd.errors import InputError, exits_cleanly

ARCHIVE = "downloads.tar.gz"
CHECKOUT = Path("../../../egs2/mini_an4/asr1") / ARCHIVE
IN_WHEEL = f"egs3/mini_an4/esp2_asr/{ARCHIVE}"


def find_archive(source, out):
    """Find ESPnet's archive.

    Args:
        source: The archive, its folder, a wheel of espnet, or "" to look around.
        out: Folder into which an archive inside a wheel is copied.

    Returns:
        Path: The archive.

    Raises:
        InputError: It is nowhere.
    """
    if source:
        path = Path(source)
        if path.is_dir():
            path = path / ARCHIVE
        if path.suffix == ".whl" and path.is_file():
            return copy_from_wheel(path, out)
        if path.is_file():
            return path
        raise InputError(
            f"MINI_AN4={source}: {ARCHIVE}, its folder or a wheel of espnet was wanted;"
            " correct it in db.sh or the environment"
        )
    candidates = [CHECKOUT]
    for espnet in importlib.metadata.distributions(name="espnet"):
        candidates.append(Path(espnet.locate_file(IN_WHEEL)))
    for path in candidates:
        if path.is_file():
            return path
    raise InputError(
        f"mini AN4 is neither at {' nor at '.join(map(str, candidates))};"
        " set MINI_AN4 to egs2/mini_an4/asr1 of an ESPnet checkout or to the wheel that"
        " 'pip download --no-deps espnet==202611' fetches"
    )


def copy_from_wheel(wheel, out):
    """Copy the archive out of a wheel of espnet."""
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as members:
        if IN_WHEEL not in members.namelist():
            raise InputError(f"{wheel} holds no {IN_WHEEL}; take espnet 202611")
        with members.open(IN_WHEEL) as source:
            with open(out / f"{ARCHIVE}.tmp", "wb") as copy:
                shutil.copyfileobj(source, copy)
    os.replace(out / f"{ARCHIVE}.tmp", out / ARCHIVE)
    return out / ARCHIVE


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="", help="archive, its folder or a wheel")
    parser.add_argument("--downloads", default="downloads", help="where to unpack")
    parser.add_argument("--out", default="data", help="folder to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write train_nodev, train_dev, test and local/lm_train.txt."""
    args = get_parser().parse_args(cmd)
    downloads = Path(args.downloads)
    unpacked = downloads / "mini_an4"
    extract(find_archive(args.source, downloads), unpacked)
    corpus = unpacked / "downloads" / "an4"
    train, test = read_part(corpus, "train"), read_part(corpus, "test")
    first, *others = sorted(train["text"])
    sets = {"train_nodev": others, "train_dev": [first], "test": list(test["text"])}
    tables = join(train, test)
    write_sets(args.out, tables, sets)
    text = tables["text"]
    write_lm_text(
        Path(args.out) / "local" / "lm_train.txt",
        [text[utterance] for utterance in others],
        [text[utterance] for utterance in [first, *test["text"]]],
    )


if __name__ == "__main__":
    main()
