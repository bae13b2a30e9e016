"""Tune a beam search's weights on the development set, models loaded once."""

import argparse

from espnet_lmkd.bin.asr_inference import add_model_arguments
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        "--data_dir", required=True, help="development set with wav.scp and text"
    )
    parser.add_argument(
        "--output_dir", required=True, help="gets decode_tuned.yaml and .md"
    )
    parser.add_argument(
        "--lm_weight", nargs="+", type=float, default=[0.1, 0.3, 0.5, 0.8]
    )
    parser.add_argument("--penalty", nargs="+", type=float, default=[0.0, 1.0])
    parser.add_argument("--beam_size", nargs="+", type=int, default=[10])
    return parser


@exits_cleanly
def main(cmd=None):
    """Tune.

    Example:
        % python3 -m espnet_lmkd.bin.tune_decode \\
            --config conf/decode_ctc_beam_lm.yaml \\
            --asr_train_config exp/asr_a/config.yaml \\
            --asr_model_file exp/asr_a/valid.cer_ctc.ave.pth \\
            --lm_train_config exp/lm/config.yaml --lm_file exp/lm/valid.loss.ave.pth \\
            --data_dir dump/raw/dev --output_dir exp/asr_a
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr import tuning
    from espnet_lmkd.asr.decoding import SearchOptions

    options = SearchOptions.from_yaml(args.config) if args.config else SearchOptions()
    model_files = {
        "train_config": args.asr_train_config,
        "model_file": args.asr_model_file,
        "lm_train_config": args.lm_train_config,
        "lm_file": args.lm_file,
        "device": "cuda" if args.ngpu else "cpu",
    }
    names = ("beam_size", "lm_weight", "penalty")
    grid = {name: getattr(args, name) for name in names}
    inputs = (model_files, options, grid, args.data_dir, args.num_utts)
    print(tuning.tune_once(args.output_dir, *inputs))


if __name__ == "__main__":
    main()
