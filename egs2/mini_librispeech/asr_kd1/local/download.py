"""Fetch mini LibriSpeech from OpenSLR 31."""

import argparse
import shutil
from pathlib import Path

from espnet_lmkd.data.archive import download, extract
from espnet_lmkd.errors import exits_cleanly

URL = "https://www.openslr.org/resources/31"


@exits_cleanly
def main(cmd=None):
    """Make <out>/LibriSpeech/{train-clean-5,dev-clean-2} and SPEAKERS.TXT."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", default="downloads", help="folder to write")
    out = Path(parser.parse_args(cmd).out)
    (out / "LibriSpeech").mkdir(parents=True, exist_ok=True)
    for part in ("train-clean-5", "dev-clean-2"):
        folder = out / "LibriSpeech" / part
        if folder.exists():
            continue
        download(f"{URL}/{part}.tar.gz", out / f"{part}.tar.gz")
        extract(out / f"{part}.tar.gz", out / part)
        unpacked = out / part / "LibriSpeech"
        for text in unpacked.glob("*.TXT"):
            text.replace(out / "LibriSpeech" / text.name)
        (unpacked / part).replace(folder)
        shutil.rmtree(out / part)


if __name__ == "__main__":
    main()
