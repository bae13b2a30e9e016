"""Check that no held-out sentence is among the training text."""

import argparse

from espnet_lmkd.data.overlap import count_overlap, markdown_table
from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Count the held-out utterances whose whole sentence occurs in a"
        " training text. Files called `text` hold 'utterance words' lines, other files"
        " one sentence a line.",
    )
    parser.add_argument(
        "--train_text",
        action="append",
        required=True,
        metavar="TEXT",
        help="text that a model or vocabulary is trained on (repeatable)",
    )
    parser.add_argument(
        "--held_out",
        action="append",
        required=True,
        metavar="TEXT",
        help="dev, test or unlabelled transcripts (repeatable)",
    )
    parser.add_argument(
        "--report_only",
        action="store_true",
        help="succeed in any case: for corpora where people say the same by nature",
    )
    return parser


@exits_cleanly
def main(cmd=None):
    """Report the overlap; exit 1 if there is any.

    Example:
        % python3 -m espnet_lmkd.bin.check_overlap \
            --train_text data/local/lm_train.txt --held_out dump/raw/test/text
    """
    args = get_parser().parse_args(cmd)
    rows = count_overlap(args.train_text, args.held_out)
    print(markdown_table(rows))
    repeated = sum(row[-1] for row in rows)
    if repeated and not args.report_only:
        raise InputError(
            f"{repeated} held-out sentences occur in training text (table above);"
            " remove them there, or give --report_only where speakers say the same"
            " by nature"
        )


if __name__ == "__main__":
    main()
