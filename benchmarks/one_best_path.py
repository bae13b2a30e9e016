"""What one-best-path distillation costs beside that of the whole lattice, in one run.

    python3 benchmarks/one_best_path.py  # a quarter of an hour on one busy core

The first table is joint network and divergence, forward and backward, of a student
that is given its states: time is the median of interleaved rounds, memory the peak
above the inputs (measure.py).
`whole lattice` is the divergence of all classes at all nodes in torch's own functions,
with the teacher's log-probabilities given or computed from its states. The second table
is the training step of `conf/small` with and without targets that were stored.
"""

import argparse
import gc
import statistics
from pathlib import Path

import torch
from espnet2.asr_transducer.joint_network import JointNetwork
from measure import extra_memory, random_batch, seconds, step_table
from tqdm import trange
from transducer import SIZES

from espnet_lmkd.alignment.transducer_targets import path_targets
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.one_best_path import OneBestPathDistiller
from espnet_lmkd.padded import Padded

CONF = Path(__file__).parent.parent / "conf/small"
TOKENS = ["<blank>", "<unk>", *map(str, range(297)), "<sos/eos>"]
LATTICE = dict(nodes="lattice", classes="collapsed")


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=4, default=[4, 400, 79, 1000])
    parser.add_argument("--width", type=int, default=256, help="of states and joint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step_rounds", type=int, default=15)
    parser.add_argument("--path_rounds", type=int, default=20, help="a round, of paths")
    parser.add_argument("--step_seconds", type=int, default=12, help="per utterance")
    parser.add_argument("--step_batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    return parser


class Pair:
    """Random states and joint networks of a student and its teacher."""

    def __init__(self, sizes, width, device):
        batch, frames, length, classes = sizes
        torch.manual_seed(0)
        self.joint, self.teachers_joint = (
            JointNetwork(classes, width, width, width).to(device) for _ in range(2)
        )
        self.states, self.teachers_states = (
            [
                torch.randn(batch, steps, width, device=device)
                for steps in (frames, length + 1)
            ]
            for _ in range(2)
        )
        for leaf in self.states:
            leaf.requires_grad_()
        self.labels = torch.randint(1, classes, (batch, length), device=device)
        self.frames = torch.full((batch,), frames, device=device)
        self.lengths = torch.full((batch,), length, device=device)
        self.distiller = OneBestPathDistiller(
            StudentSpec(classes, width, 0, sos=classes - 1, eos=classes - 1)
        )

    def targets(self, **options):
        """What the teacher says, by the function that extraction uses."""
        path, lengths, *found = path_targets(
            self.teachers_joint,
            *self.teachers_states,
            self.labels,
            self.frames,
            self.lengths,
            0,
            **options,
        )
        names = OneBestPathDistiller.targets
        return {n: Padded(data, lengths) for n, data in zip(names, (path, *found))}

    def distil(self, targets):
        student = {
            "encoder_out": Padded(self.states[0], self.frames),
            "predictor_out": Padded(self.states[1], self.lengths + 1),
            "joint_network": self.joint,
        }
        self.backward(self.distiller(student, targets)[0].sum())

    @torch.no_grad()
    def lattice(self):
        """The teacher's log-probabilities at all nodes."""
        states, predicted = self.teachers_states
        logits = self.teachers_joint(states[:, :, None], predicted[:, None])
        return logits.log_softmax(-1)

    def distil_lattice(self, teachers):
        logits = self.joint(self.states[0][:, :, None], self.states[1][:, None])
        divergence = torch.nn.functional.kl_div(
            logits.log_softmax(-1), teachers, reduction="sum", log_target=True
        )
        self.backward(divergence)

    def backward(self, loss):
        for leaf in (*self.states, *self.joint.parameters()):
            leaf.grad = None
        loss.backward()


def given(make, use):
    """A step that uses what is made before it starts."""
    return lambda pair: (lambda made: lambda: use(pair, made))(make(pair))


def online(make, use):
    """A step that makes what it uses."""
    return lambda pair: lambda: use(pair, make(pair))


def on(**options):
    return lambda pair: pair.targets(**options)


ROWS = {
    "whole lattice, teacher online": online(Pair.lattice, Pair.distil_lattice),
    "whole lattice, teacher given": given(Pair.lattice, Pair.distil_lattice),
    "whole lattice, 3 classes stored": given(on(**LATTICE), Pair.distil),
    "path, teacher online": online(on(), Pair.distil),
    "path, all classes stored": given(
        lambda pair: pair.targets(classes=pair.joint.lin_out.out_features), Pair.distil
    ),
    "path, top 8 stored": given(on(), Pair.distil),
}


def make(name, *args):
    return ROWS[name](Pair(*args))


def median_step(step, device, repeats):
    return statistics.median(seconds(step, device) for _ in range(repeats))


def lattice_table(sizes, width, device, rounds, path_rounds):
    """Print the rows; ratios are to the first."""
    spent = {name: [] for name in ROWS}
    for _ in trange(rounds, desc=str(sizes)):
        for name in ROWS:
            # Made anew: lattices of logits need not be there at a time.
            step = make(name, sizes, width, device)
            stored_path = name.startswith("path") and name.endswith("stored")
            repeats = path_rounds if stored_path else 1
            spent[name].append(median_step(step, device, repeats))
            del step
            gc.collect()
    title = " ".join(f"{key}{size}" for key, size in zip(SIZES, sizes))
    print(f"\n| {title} ({device}) | s | faster by | peak +MB | smaller by |")
    print("|---|---:|---:|---:|---:|")
    first = None
    for name, values in spent.items():
        small = name, (1, 3, 2, 9), 4, device
        extra = extra_memory(make, small, (name, sizes, width, device), device)
        median = statistics.median(values)
        first = first or (median, extra)
        print(
            f"| {name} | {median:.4f} | {first[0] / median:.1f} | {extra / 1e6:.0f} |"
            f" {first[1] / extra:.1f} |",
            flush=True,
        )


def build(name, model=None, **model_conf):
    from espnet_lmkd.asr.task import ASRKDTask

    args = ASRKDTask.get_parser().parse_args(["--config", str(CONF / name)])
    args.token_list, args.model = TOKENS, model or args.model
    args.model_conf.update(model_conf)
    return ASRKDTask.build_model(args).train()


def training_step(batch_size, utterance_seconds, device, rounds):
    """Print what a training step costs with and without the targets of a path."""
    batch = random_batch(batch_size, utterance_seconds, device)
    model = build("train_asr_kd_rnnt_one_best_path.yaml").to(device)
    _, frames = model.encode(batch["speech"], batch["speech_lengths"])
    sizes = (batch_size, int(frames[0]), batch["text"].shape[1], len(TOKENS))
    targets = {}
    for name, target in Pair(sizes, 128, device).targets().items():
        targets[name], targets[f"{name}_lengths"] = target.data, target.lengths
    models = {
        "transducer": (build("train_asr_rnnt.yaml").to(device), {}),
        "with the targets of a path": (model, targets),
    }
    step_table(models, batch, rounds, device)


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    torch.set_num_threads(1)
    sizes = args.sizes, args.width, args.device
    lattice_table(*sizes, args.rounds, args.path_rounds)
    training_step(args.step_batch, args.step_seconds, args.device, args.step_rounds)


if __name__ == "__main__":
    main()
