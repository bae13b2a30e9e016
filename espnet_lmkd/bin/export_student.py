"""Export a trained student, as a plain ESPnet model where its parts are ESPnet's."""

import argparse

from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp", required=True, help="experiment, e.g. exp/asr_a")
    parser.add_argument(
        "--model_file", help="checkpoint; the only valid.*.ave.pth if not given"
    )
    parser.add_argument(
        "--zip", action="store_true", help="also pack it for ESPnet's model zoo"
    )
    return parser


@exits_cleanly
def main(cmd=None):
    """Export.

    Example:
        % python3 -m espnet_lmkd.bin.export_student --exp exp/asr_a --zip
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr.export import export_student

    print(export_student(args.exp, args.model_file, args.zip))


if __name__ == "__main__":
    main()
