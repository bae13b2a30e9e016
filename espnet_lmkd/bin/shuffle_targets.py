"""Write the shuffled-teacher control of a target store."""

import argparse

from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.targets.shuffle import shuffle_store


def get_parser():
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="store to read")
    parser.add_argument("--out", required=True, help="store to write")
    parser.add_argument("--seed", type=int, default=0)
    return parser


@exits_cleanly
def main(cmd=None):
    """Run the command."""
    args = get_parser().parse_args(cmd)
    shuffle_store(args.store, args.out, args.seed)
    print(f"{args.out}: the rows of {args.store}, shuffled with seed {args.seed}")


if __name__ == "__main__":
    main()
