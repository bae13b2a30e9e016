"""Add copies at other speeds to a data directory (stage 2)."""

import argparse

from espnet_lmkd.data.speed import perturb_directory
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Write a data directory with its utterances and copies of them at"
        " other speeds, called sp<factor>-<utterance>.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data_dir", required=True, help="original data directory")
    parser.add_argument("--out", required=True, help="data directory to write")
    parser.add_argument("--factors", nargs="+", default=["0.9", "1.1"], help="speeds")
    parser.add_argument("--nj", type=int, default=1, help="number of processes")
    return parser


@exits_cleanly
def main(cmd=None):
    """Perturb.

    Example:
        % python3 -m espnet_lmkd.bin.perturb_speed \
            --data_dir data/train --out data/train_sp --factors 0.9 1.1
    """
    args = get_parser().parse_args(cmd)
    number = perturb_directory(args.data_dir, args.out, args.factors, args.nj)
    print(f"{args.out}: {number} utterances at speeds 1.0 {' '.join(args.factors)}")


if __name__ == "__main__":
    main()
