"""Score decoded test sets: WER, CER and TER in ESPnet's layout, in one process."""

import argparse
from pathlib import Path

from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.scoring.tables import markdown, score_directory


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data_dirs",
        nargs="+",
        required=True,
        help="References: directories with text and utt2spk, e.g. dump/raw/test",
    )
    parser.add_argument(
        "--decode_dirs",
        nargs="+",
        required=True,
        help="Folders with one folder per data directory, of the same name",
    )
    parser.add_argument("--bpemodel", help="SentencePiece model; adds the TER")
    return parser


@exits_cleanly
def main(cmd=None):
    """Score.

    Example:
        % python3 -m espnet_lmkd.bin.score --data_dirs dump/raw/dev dump/raw/test \\
            --decode_dirs exp/asr_a/decode_ctc_greedy exp/asr_b/decode_ctc_greedy
    """
    args = get_parser().parse_args(cmd)
    results = {"wer": [], "cer": [], "ter": []}
    for decode_dir in map(Path, args.decode_dirs):
        for data_dir in map(Path, args.data_dirs):
            folder = decode_dir / data_dir.name
            for kind, *row in score_directory(data_dir, folder, args.bpemodel):
                results[kind].append([folder, *row])
    header = "dataset Snt Wrd Corr Sub Del Ins Err S.Err".split()
    for kind, rows in results.items():
        if rows:
            print(f"### {kind.upper()}\n\n{markdown(header, rows)}\n")


if __name__ == "__main__":
    main()
