"""Make training data of decoded audio: the confident hypotheses are its text (7)."""

import argparse

from espnet_lmkd.data.pseudo_labels import REPORT, write_pseudo_labels
from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data_dir", required=True, help="such as dump/raw/unlabelled")
    add("--decode_dir", required=True, help="its folder below the decoding")
    add(
        "--min_confidence",
        type=float,
        required=True,
        help="0 .. 1: exp of the score a token, below which hypotheses are left out;"
        " with a language model the score, and so the scale, is another one",
    )
    add("--out", required=True, help="such as dump/raw/unlabelled_pseudo")
    add("--reference", help="transcripts, to print the error rate; not used otherwise")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write the data directory.

    Example:
        % python3 -m espnet_lmkd.bin.pseudo_label --data_dir dump/raw/unlabelled \\
            --decode_dir exp/asr_rnnt/decode_transducer/unlabelled \\
            --min_confidence 0.8 --out dump/raw/unlabelled_pseudo
    """
    args = get_parser().parse_args(cmd)
    if not 0 <= args.min_confidence <= 1:
        raise InputError(f"--min_confidence {args.min_confidence}: 0 .. 1 was wanted")
    report = write_pseudo_labels(
        args.data_dir, args.decode_dir, args.min_confidence, args.out, args.reference
    )
    print(
        f"{args.out}: {report['kept']} of {report['utterances']} hypotheses are kept,"
        f" {report['hours']:.2f} h; {report['empty']} are empty,"
        f" {report['with_symbols']} hold symbols such as <unk>,"
        f" {report['below_min_confidence']} are below confidence"
        f" {args.min_confidence} ({REPORT})"
    )
    if args.reference:
        print(
            f"WER of the kept ones {report['wer_of_kept']:.2f} %, of all"
            f" {report['wer_of_all']:.2f} %"
        )


if __name__ == "__main__":
    main()
