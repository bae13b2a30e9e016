"""Make the student's token list and sentencepiece model (stage 5)."""

import argparse

from espnet_lmkd.data.tokens import make_tokens
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Write <out>/tokens.txt and, for bpe, <out>/bpe.model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--text", nargs="+", required=True, help="training transcripts")
    parser.add_argument("--token_type", choices=("bpe", "char"), default="bpe")
    parser.add_argument("--vocab_size", type=int, help="number of tokens (bpe only)")
    parser.add_argument("--out", required=True, help="directory to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Make tokens.

    Example:
        % python3 -m espnet_lmkd.bin.make_tokens --text dump/raw/train/text \
            --token_type bpe --vocab_size 300 --out data/token_list/bpe_300
    """
    args = get_parser().parse_args(cmd)
    tokens = make_tokens(args.text, args.token_type, args.out, args.vocab_size)
    print(f"{args.out}/tokens.txt: {len(tokens)} tokens")


if __name__ == "__main__":
    main()
