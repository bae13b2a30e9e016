"""GPU hours of a training: its products counted, the speed of a GPU assumed.

    python3 benchmarks/gpu_hours.py --config conf/large/train_asr_ctc.yaml --hours 300

What distillers add, and what is no matrix product, is not counted.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from espnet_lmkd.asr.task import ASRKDTask

SAMPLE_RATE = 16_000


def build(config, vocab_size):
    """Build the student of a configuration with so many tokens."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = ["<blank>", "<unk>", *map(str, range(vocab_size - 3)), "<sos/eos>"]
        path = Path(folder, "tokens.txt")
        path.write_text("\n".join(tokens) + "\n")
        args = ASRKDTask.get_parser().parse_args(
            ["--config", config, "--token_list", str(path)]
        )
        args.model_conf.pop("distillers", None)
        return ASRKDTask.build_model(args), args


def flops_of_a_second(model, seconds, tokens_per_second, vocab_size):
    """Count forward and backward of an utterance; return FLOP a second of speech."""
    length, tokens = int(seconds * SAMPLE_RATE), int(seconds * tokens_per_second)
    batch = dict(
        speech=torch.randn(1, length),
        speech_lengths=torch.tensor([length]),
        text=torch.randint(2, vocab_size - 1, (1, tokens)),
        text_lengths=torch.tensor([tokens]),
    )
    with FlopCounterMode(display=False) as counter:
        loss, _, _ = model.train()(**batch)
        loss.sum().backward()
    return counter.get_total_flops() / seconds


def main():
    """Print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--hours", type=float, required=True, help="with speed copies")
    parser.add_argument("--epochs", type=int, help="instead of the configuration's")
    parser.add_argument("--vocab_size", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=12.0, help="of an utterance")
    parser.add_argument("--tokens_per_second", type=float, default=4.0)
    parser.add_argument(
        "--tflops", type=float, default=10.0, help="that a GPU keeps up, 1e12 a second"
    )
    args = parser.parse_args()
    model, conf = build(args.config, args.vocab_size)
    flops = flops_of_a_second(
        model, args.seconds, args.tokens_per_second, args.vocab_size
    )
    epochs = args.epochs or conf.max_epoch
    hours = flops * args.hours * 3600 * epochs / (args.tflops * 1e12) / 3600
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(
        f"{args.config}: {parameters:.1f} M parameters, {flops / 1e9:.1f} GFLOP a"
        f" second of speech, {epochs} epochs of {args.hours:g} h: {hours:.0f} GPU"
        f" hours at {args.tflops:g} TFLOP/s"
    )


if __name__ == "__main__":
    main()
