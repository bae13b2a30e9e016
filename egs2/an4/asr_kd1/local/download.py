"""Fetch the AN4 corpus from CMU."""

import argparse
from pathlib import Path

from espnet_lmkd.data.archive import download, extract
from espnet_lmkd.errors import exits_cleanly

URL = "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz"


@exits_cleanly
def main(cmd=None):
    """Make <out>/an4/an4/{etc,wav}."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", default="downloads", help="folder to write")
    out = Path(parser.parse_args(cmd).out)
    download(URL, out / "an4_sphere.tar.gz")
    extract(out / "an4_sphere.tar.gz", out / "an4")


if __name__ == "__main__":
    main()
