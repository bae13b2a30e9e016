"""The transducer loss beside torchaudio's, and without a lattice of logits, in one run.

    python3 benchmarks/transducer.py  # ten minutes on one busy core

Time is forward and backward, the median of interleaved rounds, and memory the peak
above what the inputs and parameters take, gradients included (measure.py).

torchaudio's row appears where its compiled part loads. PyPI's wants CUDA's libraries
also beside a CPU-only torch. There its CPU kernel runs with LD_LIBRARY_PATH leading to
libcudart (nvidia-cuda-runtime) and two stubs made with `gcc -shared`: libc10_cuda.so,
empty, and libtorch_cuda.so with functions that abort: torch_c10_cuda_check_msg,
torch_c10_cuda_free_error_msg, torch_cuda_stream_synchronize,
torch_get_cuda_stream_from_pool, torch_set_current_cuda_stream and
aoti_torch_get_current_cuda_stream.
"""

import argparse
import gc
import importlib
import statistics
from pathlib import Path

import torch
from espnet2.asr_transducer.joint_network import JointNetwork
from measure import extra_memory, seconds
from tqdm import trange

from espnet_lmkd.losses.transducer import rnnt_loss
from espnet_lmkd.losses.transducer_joint import rnnt_loss_from_joint

SIZES = ("B", "T", "L", "V")


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--loss_sizes", type=int, nargs=4, default=[8, 200, 40, 500])
    parser.add_argument("--joint_sizes", type=int, nargs=4, default=[16, 400, 80, 1000])
    parser.add_argument("--width", type=int, default=512, help="of states and joint")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    return parser


def torchaudio_loss():
    """torchaudio's loss, or None where its compiled part does not load."""
    theirs = importlib.import_module("torchaudio.functional").rnnt_loss
    try:
        if not hasattr(torch.ops.torchaudio, "rnnt_loss_forward"):
            home = Path(importlib.import_module("torchaudio").__file__).parent
            torch.ops.load_library(str(next(home.glob("lib/libtorchaudio*.so"))))
    except (OSError, RuntimeError, StopIteration):
        return None
    return theirs


def make_labels(sizes, device):
    """Targets and full lengths; torchaudio wants them as int32."""
    batch, frames, length, classes = sizes
    return [
        x.to(device, torch.int32)
        for x in (
            torch.randint(1, classes, (batch, length)),
            torch.full((batch,), frames),
            torch.full((batch,), length),
        )
    ]


def of_logits(loss):
    """Make a step that takes logits."""

    def make_step(sizes, width, device):
        batch, frames, length, classes = sizes
        logits = torch.randn(batch, frames, length + 1, classes, device=device)
        logits.requires_grad_()
        labels = make_labels(sizes, device)

        def step():
            logits.grad = None
            loss(logits, *labels, blank=0).backward()

        return step

    return make_step


def of_states(loss):
    """Make a step that takes a joint network and states."""

    def make_step(sizes, width, device):
        batch, frames, length, classes = sizes
        joint = JointNetwork(classes, width, width, width, "tanh").to(device)
        states = [
            torch.randn(batch, steps, width, device=device).requires_grad_()
            for steps in (frames, length + 1)
        ]
        labels = make_labels(sizes, device)

        def step():
            for leaf in (*states, *joint.parameters()):
                leaf.grad = None
            loss(joint, *states, *labels).backward()

        return step

    return make_step


def whole_lattice(joint, encoder_out, predictor_out, *labels):
    return rnnt_loss(joint(encoder_out[:, :, None], predictor_out[:, None]), *labels)


ROWS = {
    "torchaudio": lambda: of_logits(torchaudio_loss()),
    "rnnt_loss": lambda: of_logits(rnnt_loss),
    "joint + rnnt_loss": lambda: of_states(whole_lattice),
    "rnnt_loss_from_joint": lambda: of_states(rnnt_loss_from_joint),
}


def make(name, *args):
    return ROWS[name]()(*args)


def table(names, sizes, width, device, rounds):
    """Print the rows; ratios are to the first."""
    spent = {name: [] for name in names}
    for index in trange(rounds + 1, desc=str(sizes)):
        for name in names:
            # Made anew: two lattices of logits need not be there at a time.
            step = make(name, sizes, width, device)
            spent[name].append(seconds(step, device))
            del step
            gc.collect()
    batch, frames, length, classes = sizes
    logits = 4 * batch * frames * (length + 1) * classes
    title = " ".join(f"{key}{size}" for key, size in zip(SIZES, sizes))
    print(f"\n| {title} ({device}) | s | ratio | peak +MB | / logits |")
    print("|---|---:|---:|---:|---:|")
    first = None
    for name, values in spent.items():
        median = statistics.median(values[1:])  # the first round warms up
        first = first or median
        small = name, (1, 3, 2, 5), 4, device
        extra = extra_memory(make, small, (name, sizes, width, device), device)
        print(
            f"| {name} | {median:.3f} | {median / first:.3f} | {extra / 1e6:.0f} |"
            f" {extra / logits:.3f} |",
            flush=True,
        )


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    torch.set_num_threads(1)
    names = ["rnnt_loss"]
    if torchaudio_loss():
        names.insert(0, "torchaudio")
    else:
        print("torchaudio's compiled part does not load: no row for it")
    common = (args.width, args.device, args.rounds)
    table(names, args.loss_sizes, *common)
    names = ["joint + rnnt_loss", "rnnt_loss_from_joint"]
    table(names, args.joint_sizes, *common)


if __name__ == "__main__":
    main()
