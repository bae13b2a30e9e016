"""Fetch AISHELL-1 from OpenSLR 33."""

import argparse
from pathlib import Path

from espnet_lmkd.data.archive import download, extract
from espnet_lmkd.errors import exits_cleanly

URL = "https://www.openslr.org/resources/33/data_aishell.tgz"


@exits_cleanly
def main(cmd=None):
    """Make <out>/data_aishell with wav/{train,dev,test}/<speaker> and transcript."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", default="downloads", help="folder to write")
    out = Path(parser.parse_args(cmd).out)
    download(URL, out / "data_aishell.tgz")
    extract(out / "data_aishell.tgz", out / "aishell")
    corpus = out / "aishell" / "data_aishell"
    if not corpus.is_dir():
        return
    for speaker in sorted((corpus / "wav").glob("*.tar.gz")):  # an archive a speaker
        extract(speaker, corpus / "speakers" / speaker.name.removesuffix(".tar.gz"))
    for folder in sorted((corpus / "speakers").glob("*/*/*")):  # <speaker>/<set>/<it>
        place = corpus / "wav" / folder.parent.name / folder.name
        place.parent.mkdir(exist_ok=True)
        folder.replace(place)
    corpus.replace(out / "data_aishell")


if __name__ == "__main__":
    main()
