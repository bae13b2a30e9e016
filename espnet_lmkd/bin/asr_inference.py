"""Decode several test sets in one process."""

import argparse
import dataclasses
from pathlib import Path

from espnet_lmkd.errors import exits_cleanly


def add_model_arguments(parser):
    """Add the files of a recogniser and its search."""
    parser.add_argument("--asr_train_config", required=True, help="its config.yaml")
    parser.add_argument("--asr_model_file", required=True, help="checkpoint")
    parser.add_argument("--lm_train_config", help="language model: its config.yaml")
    parser.add_argument("--lm_file", help="language model: checkpoint")
    parser.add_argument("--config", help="conf/decode_*.yaml; CTC greedy without it")
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    parser.add_argument(
        "--num_utts", type=int, help="decode only so many, evenly spread over a set"
    )


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        "--data_dirs", nargs="+", required=True, help="with wav.scp, e.g. dump/raw/test"
    )
    parser.add_argument(
        "--output_dir", required=True, help="gets a folder per data directory"
    )
    parser.add_argument("--lm_weight", type=float, help="instead of the --config's")
    parser.add_argument(
        "--student", help="of search: speech_prompt, instead of the --config's"
    )
    return parser


@exits_cleanly
def main(cmd=None):
    """Decode.

    Example:
        % python3 -m espnet_lmkd.bin.asr_inference \\
            --config conf/decode_ctc_greedy.yaml \\
            --asr_train_config exp/asr_a/config.yaml \\
            --asr_model_file exp/asr_a/valid.cer_ctc.ave.pth \\
            --data_dirs dump/raw/dev dump/raw/test --output_dir exp/asr_a/decode
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr.decode_set import decode_set
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions

    options = SearchOptions.from_yaml(args.config) if args.config else SearchOptions()
    given = {name: getattr(args, name) for name in ("lm_weight", "student")}
    given = {name: value for name, value in given.items() if value is not None}
    options = dataclasses.replace(options, **given)
    recogniser = Recogniser(
        args.asr_train_config,
        args.asr_model_file,
        options,
        args.lm_train_config,
        args.lm_file,
        device="cuda" if args.ngpu else "cpu",
    )
    for data_dir in args.data_dirs:
        output_dir = Path(args.output_dir) / Path(data_dir).name
        decode_set(recogniser, data_dir, output_dir, args.num_utts)


if __name__ == "__main__":
    main()
