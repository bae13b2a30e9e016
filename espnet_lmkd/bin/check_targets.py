"""Compare a target store with a data directory and a student's tokenizer."""

import argparse
from pathlib import Path

from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.store import read_manifest
from espnet_lmkd.targets.vocabulary import (
    StudentTokenizer,
    read_token_list,
    tokenizer_record,
)


def get_parser():
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--store", required=True, help="such as dump/targets/bert/train")
    read = parser.add_mutually_exclusive_group(required=True)
    read.add_argument("--text", help="such as dump/raw/train_sp/text")
    read.add_argument(
        "--data_dir", help="such as dump/raw/train_sp: its audio is compared as well"
    )
    add("--token_list", required=True, help="the student's")
    add("--token_type", help="the student's; by default the store's")
    add("--bpemodel", help="the student's: lengths are compared as well")
    add("--sha256", action="store_true", help="read all shards, not only their sizes")
    return parser


@exits_cleanly
def main(cmd=None):
    """Run the command."""
    args = get_parser().parse_args(cmd)
    token_type = args.token_type or read_manifest(args.store)["tokenizer"]["token_type"]
    token_list = read_token_list(args.token_list)
    needs_model = token_type in ("bpe", "hugging_face")
    report = check_store(
        args.store,
        read_table(args.text or Path(args.data_dir, "text")),
        tokenizer_record(token_type, token_list),
        tokenizer=(
            StudentTokenizer(token_type, token_list, args.bpemodel)
            if args.bpemodel or not needs_model
            else None
        ),
        sha256=args.sha256,
        audio=read_inputs(args.data_dir).files if args.data_dir else None,
    )
    report.raise_if_bad()
    print(
        f"{args.store}: {report.num_utterances} utterances have their targets,"
        f" {len(report.dropped)} of them were dropped by the extraction"
    )


if __name__ == "__main__":
    main()
