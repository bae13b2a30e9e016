"""Compare experiments: error rates, how sure they differ, size, speed and cost."""

import argparse
import json
from pathlib import Path

from espnet_lmkd.data.directory import write_lines
from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.scoring.comparison import compare_set, table
from espnet_lmkd.scoring.experiment import parse_systems
from espnet_lmkd.scoring.figures import draw_comparison


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--exp",
        nargs="+",
        required=True,
        help="[name=]directory[:decode_tag]; those of one name, or alike but for "
        "_seed<N>, are seeds of one system",
    )
    parser.add_argument("--decode", help="decode tag, e.g. decode_ctc_greedy")
    parser.add_argument(
        "--test_sets", nargs="+", required=True, help="folders below the decode tag"
    )
    parser.add_argument("--baseline", help="name of a system; the first if not given")
    parser.add_argument(
        "--out", default="exp/compare", help="gets compare.md, .json and .png"
    )
    return parser


@exits_cleanly
def main(cmd=None):
    """Compare.

    Example:
        % python3 -m espnet_lmkd.bin.compare --test_sets dev test \\
            --exp greedy=exp/asr_a:decode_ctc_greedy lm=exp/asr_a:decode_lm \\
            kd=exp/asr_kd:decode_ctc_greedy
    """
    args = get_parser().parse_args(cmd)
    systems = parse_systems(args.exp, args.decode)
    baseline = args.baseline or next(iter(systems))
    by_set = [compare_set(systems, baseline, name) for name in args.test_sets]
    text = "\n".join(table(rows) for rows in by_set)
    rows = sum(by_set, [])
    out = Path(args.out)
    write_lines(out / "compare.md", [text])
    write_lines(out / "compare.json", [json.dumps(rows, indent=2)])
    draw_comparison(out / "compare.png", systems, rows)
    print(text)


if __name__ == "__main__":
    main()
