"""Join data directories, such as a labelled and a pseudo-labelled one (stage 7)."""

import argparse

from espnet_lmkd.data.combine import combine_directories
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dirs", nargs="+", required=True, help="to read")
    parser.add_argument("--out", required=True, help="data directory to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Combine.

    Example:
        % python3 -m espnet_lmkd.bin.combine_data --out dump/raw/train_and_unlabelled \\
            --data_dirs dump/raw/train dump/raw/unlabelled_pseudo
    """
    args = get_parser().parse_args(cmd)
    number = combine_directories(args.data_dirs, args.out)
    print(f"{args.out}: {number} utterances of {', '.join(args.data_dirs)}")


if __name__ == "__main__":
    main()
