"""Decode several test sets with a streaming transducer, and measure its latency."""

import dataclasses
from pathlib import Path

from espnet_lmkd.bin import asr_inference
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser: that of `asr_inference`, and the size of the pieces."""
    parser = asr_inference.get_parser()
    parser.description = __doc__
    parser.add_argument(
        "--chunk_seconds",
        type=float,
        help="audio that arrives at once, instead of the --config's; 0.32 without both",
    )
    return parser


@exits_cleanly
def main(cmd=None):
    """Decode.

    Example:
        % python3 -m espnet_lmkd.bin.asr_inference_streaming \\
            --config conf/decode_transducer.yaml --chunk_seconds 0.32 \\
            --asr_train_config exp/asr_a/config.yaml \\
            --asr_model_file exp/asr_a/valid.loss.ave.pth \\
            --data_dirs dump/raw/dev dump/raw/test --output_dir exp/asr_a/streaming
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr.streaming import (
        StreamingOptions,
        StreamingRecogniser,
        stream_set,
    )

    options = StreamingOptions()
    if args.config:
        options = StreamingOptions.from_yaml(args.config)
    given = {name: getattr(args, name) for name in ("lm_weight", "chunk_seconds")}
    changes = {name: value for name, value in given.items() if value is not None}
    recogniser = StreamingRecogniser(
        args.asr_train_config,
        args.asr_model_file,
        dataclasses.replace(options, **changes),
        args.lm_train_config,
        args.lm_file,
        device="cuda" if args.ngpu else "cpu",
    )
    for data_dir in args.data_dirs:
        output_dir = Path(args.output_dir) / Path(data_dir).name
        stream_set(recogniser, data_dir, output_dir, args.num_utts)


if __name__ == "__main__":
    main()
