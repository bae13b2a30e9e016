"""Copy one of the pack's recipes into a folder of your own."""

import argparse

from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser."""
    from espnet_lmkd.data.recipes import names

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help=f"one of {', '.join(names())}")
    parser.add_argument("--out", required=True, help="new folder")
    return parser


@exits_cleanly
def main(cmd=None):
    """Copy.

    Example:
        % python3 -m espnet_lmkd.bin.make_recipe --recipe mini_an4 --out mini_an4
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.data.recipes import make_recipe

    make_recipe(args.recipe, args.out)
    print(f"{args.out}: cd there and ./run.sh; db.sh says where the corpus lies")


if __name__ == "__main__":
    main()
