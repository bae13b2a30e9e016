"""Make the student's token list and sentencepiece model (stage 5)."""

import argparse

from espnet_lmkd.data.tokens import make_tokens
from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Write <out>/tokens.txt and, for bpe, <out>/bpe.model; for "
        "hugging_face take both from a causal LM.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--text", nargs="+", help="training transcripts")
    parser.add_argument(
        "--token_type", choices=("bpe", "char", "hugging_face"), default="bpe"
    )
    parser.add_argument("--vocab_size", type=int, help="number of tokens (bpe only)")
    parser.add_argument("--model", help="folder or hub id of an LM (hugging_face only)")
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    parser.add_argument("--out", required=True, help="directory to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Make tokens.

    Example:
        % python3 -m espnet_lmkd.bin.make_tokens --text dump/raw/train/text \
            --token_type bpe --vocab_size 300 --out data/token_list/bpe_300
        % python3 -m espnet_lmkd.bin.make_tokens --token_type hugging_face \
            --model HuggingFaceTB/SmolLM2-135M --out data/token_list/smollm2
    """
    args = get_parser().parse_args(cmd)
    if args.token_type != "hugging_face":
        if not args.text:
            raise InputError(f"--token_type {args.token_type} wants a --text")
        tokens = make_tokens(args.text, args.token_type, args.out, args.vocab_size)
        print(f"{args.out}/tokens.txt: {len(tokens)} tokens")
        return
    if not args.model:
        raise InputError("--token_type hugging_face wants the --model of the tokens")
    from espnet_lmkd.asr.speech_prompt.llm_tokens import write_llm_tokens

    record = write_llm_tokens(args.model, args.out, args.revision)
    symbols = [f"{k}: {v!r}" for k, v in record.items() if k.startswith("sym_")]
    print(f"{args.out}/tokens.txt: {record['num_tokens']} tokens; {', '.join(symbols)}")


if __name__ == "__main__":
    main()
