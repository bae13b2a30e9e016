"""Method A on a transducer beside the tensor of all frames and labels, in one run.

    python3 benchmarks/lm_embedding_transducer.py  # three minutes on one core

The first table is the distiller, projections included, forward and backward, on states
and arc scores that are given: time is the median of interleaved rounds, memory the peak
above the inputs (measure.py), the error that of the states' gradients against float64.
The second table is the training step of `conf/small`'s transducer with and without it.
"""

import argparse
import statistics

import torch
from measure import extra_memory, random_batch, seconds, step_table
from one_best_path import build
from torch.nn.functional import layer_norm
from tqdm import trange

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.lm_embedding_transducer import (
    LMEmbeddingTransducerDistiller,
)
from espnet_lmkd.losses.transducer import label_posteriors
from espnet_lmkd.padded import Padded

ROWS = {  # name: options of the distiller, dense or not
    "dense, mse": (dict(), True),
    "posterior, mse": (dict(), False),
    "posterior, cos": (dict(distance="cos"), False),
    "posterior, l1": (dict(distance="l1"), False),
    "expectation, mse": (dict(variant="expectation"), False),
    "joint, mse": (dict(variant="joint", scale=0.3), False),
}


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=4, default=[8, 200, 40, 768])
    parser.add_argument("--width", type=int, default=256, help="of the states")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step_rounds", type=int, default=9)
    parser.add_argument("--step_seconds", type=int, default=8, help="per utterance")
    parser.add_argument("--step_batch", type=int, default=8)
    return parser


class Student:
    """Random states, arc scores and targets, and a step that learns from them."""

    def __init__(self, name, sizes, width, dtype=torch.float):
        (options, self.dense), (batch, frames, length, size) = ROWS[name], sizes
        torch.manual_seed(0)
        spec = StudentSpec(500, width, 0, sos=499, eos=499, predictor_size=width)
        self.distiller = LMEmbeddingTransducerDistiller(spec, size, **options)
        self.distiller.to(dtype)
        frame = torch.full((batch,), frames)
        label = torch.full((batch,), length)
        scores = torch.randn(batch, frames, 2 * length + 1).sub(3).to(dtype)
        self.taps = {
            "text": Padded(torch.ones(batch, length, dtype=torch.long), label),
            "encoder_out": Padded(torch.randn(batch, frames, width).to(dtype), frame),
            "predictor_out": Padded(
                torch.randn(batch, length + 1, width).to(dtype), label + 1
            ),
            "blank_scores": Padded(scores[..., : length + 1].clone(), frame),
            "label_scores": Padded(scores[..., length + 1 :].clone(), frame),
        }
        self.hidden = Padded(torch.randn(batch, length, size), label)
        for tap in list(self.taps.values())[1:]:
            tap.data.requires_grad_()

    def step(self):
        for tap in self.taps.values():
            tap.data.grad = None
        if self.dense:
            self.dense_loss().backward()
        else:
            targets = {"teacher_hidden": self.hidden}
            self.distiller(self.taps, targets)[0].sum().backward()

    def dense_loss(self):
        """The formula with a (B, T, L, E) tensor."""
        _, frames, predicted, *scores = self.taps.values()
        gamma = label_posteriors(
            *(s.data for s in scores), frames.lengths, self.hidden.lengths
        )
        sums = self.distiller.of_frame(frames.data).unsqueeze(2)
        sums = sums + self.distiller.of_label(predicted.data[:, :-1]).unsqueeze(1)
        wanted = layer_norm(self.hidden.data, self.hidden.data.shape[2:])
        costs = (sums - wanted.unsqueeze(1)).square().mean(-1)
        return (gamma * costs).sum()

    def gradients(self):
        self.step()
        taps = [
            self.taps["encoder_out"].data.grad,
            self.taps["predictor_out"].data.grad,
        ]
        return torch.cat([gradient.flatten().double() for gradient in taps])


def make_step(*args):
    return Student(*args).step


def distiller_table(sizes, width, rounds):
    """Print the rows; ratios are to the dense tensor."""
    students = {name: Student(name, sizes, width) for name in ROWS}
    spent = {name: [] for name in ROWS}
    for _ in trange(rounds + 1, desc=str(sizes)):
        for name, student in students.items():
            spent[name].append(seconds(student.step))
    batch, frames, length, size = sizes
    tensor = 4 * batch * frames * length * size
    print(
        f"\n| B{batch} T{frames} L{length} E{size} | CPU s | faster by | peak +MB |",
        end="",
    )
    print(" of its bytes | gradient error |\n|---|---:|---:|---:|---:|---:|")
    first = statistics.median(spent["dense, mse"][1:])
    for name, values in spent.items():
        small = name, (1, 3, 2, 5), 4
        extra = extra_memory(make_step, small, (name, sizes, width))
        exact = Student(name, sizes, width, torch.double).gradients()
        error = (students[name].gradients() - exact).norm() / exact.norm()
        median = statistics.median(values[1:])
        print(
            f"| {name} | {median:.3f} | {first / median:.1f} | {extra / 1e6:.1f} |"
            f" {100 * extra / tensor:.1f} % | {error:.1e} |",
            flush=True,
        )


def training_step(batch_size, utterance_seconds, rounds):
    """Print what the distiller adds to a training step."""
    batch = random_batch(batch_size, utterance_seconds)
    targets = {
        "teacher_hidden": torch.randn(*batch["text"].shape, 768).half(),
        "teacher_hidden_lengths": batch["text_lengths"],
    }
    models = {"transducer": (build("train_asr_rnnt.yaml"), {})}
    for name, (options, dense) in ROWS.items():
        if not dense:
            entry = dict(type="lm_embedding_transducer", conf=options)
            model = build("train_asr_rnnt.yaml", model="lmkd", distillers=[entry])
            models[name] = model, targets
    step_table(models, batch, rounds)


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    torch.set_num_threads(1)
    distiller_table(args.sizes, args.width, args.rounds)
    training_step(args.step_batch, args.step_seconds, args.step_rounds)


if __name__ == "__main__":
    main()
