"""Write transcripts in another case, for a language model that reads that one."""

import argparse

from espnet_lmkd.alignment.spans import TEXT_CASES
from espnet_lmkd.data.directory import read_table, write_table
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True, help="such as dump/raw/train/text")
    parser.add_argument("--text_case", required=True, choices=sorted(TEXT_CASES))
    parser.add_argument("--out", required=True, help="file to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write them.

    Example:
        % python3 -m espnet_lmkd.bin.change_case --text dump/raw/train/text \\
            --text_case lower --out dump/raw/train/text.lower
    """
    args = get_parser().parse_args(cmd)
    change = TEXT_CASES[args.text_case]
    table = read_table(args.text)
    write_table(args.out, {utt: change(text) for utt, text in table.items()})


if __name__ == "__main__":
    main()
