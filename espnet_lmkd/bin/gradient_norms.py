"""Print how strongly each term of a student's loss pulls at each of its parts."""

import argparse

from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp", required=True, help="experiment, e.g. exp/asr_kd_a")
    parser.add_argument(
        "--model_file", help="checkpoint; the only valid.*.ave.pth if not given"
    )
    parser.add_argument("--num_batches", type=int, default=20, help="of training")
    return parser


@exits_cleanly
def main(cmd=None):
    """Print the table.

    Example:
        % python3 -m espnet_lmkd.bin.gradient_norms --exp exp/asr_kd_a
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr.gradients import gradient_report, markdown

    print(markdown(gradient_report(args.exp, args.model_file, args.num_batches)))


if __name__ == "__main__":
    main()
