"""What a training step of distilled students costs beside the baseline's, in one run.

    cd egs2/mini_librispeech/asr_kd1 && . ./path.sh
    python3 ../../../benchmarks/kd_step.py --exps exp/asr_ctc_... exp/asr_kd_...

Experiments that stage 11 has begun say what is built and read; the batches are their
own, targets from the store included. Auxiliary decoders have a cost of their own, that
of the same decoders on hard labels alone (`kd_weight: 0`), so that what is left is
distillation proper. Time is CPU seconds of one thread, the median of interleaved
batches, and ratios are those of the same batches.
"""

import argparse
import copy
import statistics
from pathlib import Path

import torch
import yaml
from espnet2.train.distributed_utils import DistributedOption
from measure import ratio, seconds
from tqdm import trange

from espnet_lmkd.asr.task import ASRKDTask


class Training:
    """A model and the iterator of its batches, read in this process."""

    def __init__(self, config):
        args = argparse.Namespace(**copy.deepcopy(config))
        args.num_workers = 0
        torch.manual_seed(0)
        self.model = ASRKDTask.build_model(args).train()
        factory = ASRKDTask.build_iter_factory(args, DistributedOption(), "train")
        self.batches = iter(factory.build_iter(1))
        self.reading, self.steps = [], []

    def read(self):
        utt_ids, batch = next(self.batches)
        self.batch = {**batch, "utt_id": utt_ids}

    def step(self):
        self.model.zero_grad()
        self.model(**self.batch)[0].backward()

    def run(self):
        self.reading.append(seconds(self.read))
        self.steps.append(seconds(self.step))


def hard_labels(config):
    """The configuration with decoders that learn no probabilities, None without any."""
    config = copy.deepcopy(config)
    entries = config["model_conf"].get("distillers") or []
    decoders = [entry for entry in entries if entry["type"].startswith("interaed")]
    for entry in decoders:
        entry["conf"]["kd_weight"] = 0.0
    return config if decoders else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--exps", nargs="+", required=True, help="the baseline first")
    parser.add_argument("--batches", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trainings = {}
    for exp in args.exps:
        config = yaml.safe_load(Path(exp, "config.yaml").read_text(encoding="utf-8"))
        name = Path(exp).name
        trainings[name] = Training(config)
        hard = hard_labels(config)
        if hard is not None:
            trainings[f"{name}, hard labels"] = Training(hard)
    for _ in trange(args.batches + 1):  # the first warms up
        for training in trainings.values():
            training.run()
    baseline = next(iter(trainings.values()))
    print("| step | CPU s | / baseline | without decoders | reading, s |")
    print("|---|---:|---:|---:|---:|")
    for name, training in trainings.items():
        whole = ratio(training.steps, baseline.steps)
        hard = trainings.get(f"{name}, hard labels")
        rest = whole if hard is None else 1 + whole - ratio(hard.steps, baseline.steps)
        print(
            f"| {name} | {statistics.median(training.steps[1:]):.3f} | {whole:.3f} |"
            f" {'' if name.endswith('labels') else f'{rest:.3f}'} |"
            f" {statistics.median(training.reading[1:]):.4f} |"
        )


if __name__ == "__main__":
    main()
