"""Write the data directories of LibriSpeech."""

import argparse
import itertools
from pathlib import Path

from espnet_lmkd.data.corpus import write_lm_text, write_sets
from espnet_lmkd.data.librispeech import read_parts
from espnet_lmkd.data.overlap import read_sentences
from espnet_lmkd.errors import exits_cleanly

HELD_OUT = {
    "dev_clean": ["dev-clean"],
    "dev_other": ["dev-other"],
    "dev": ["dev-clean", "dev-other"],
    "test_clean": ["test-clean"],
    "test_other": ["test-other"],
}


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="LibriSpeech folder")
    parser.add_argument("--lm_text", default="", help="text, one sentence a line")
    parser.add_argument("--train_parts", nargs="+", required=True)
    parser.add_argument(
        "--unlabelled_parts",
        nargs="*",
        default=[],
        help="their transcripts stay unread",
    )
    parser.add_argument("--out", default="data", help="folder to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write train, dev*, test*, unlabelled and local/lm_train.txt."""
    args = get_parser().parse_args(cmd)
    corpus, out = Path(args.corpus), Path(args.out)
    sets = {"train": args.train_parts, **HELD_OUT}
    if args.unlabelled_parts:
        sets["unlabelled"] = args.unlabelled_parts
    texts = {}
    for name, parts in sets.items():
        tables = read_parts(corpus, parts)
        write_sets(out, tables, {name: list(tables["text"])})
        texts[name] = tables["text"].values()
    transcripts = texts.pop("train")
    other = read_sentences(args.lm_text) if args.lm_text else ()
    held_out = list(itertools.chain(*texts.values()))
    sentences = itertools.chain(transcripts, other)
    write_lm_text(out / "local" / "lm_train.txt", sentences, held_out)
    if not args.lm_text:
        print("LIBRISPEECH_LM_TEXT is empty: language models see transcripts alone")


if __name__ == "__main__":
    main()
