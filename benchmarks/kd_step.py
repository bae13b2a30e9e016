"""What a training step with method D costs beside the baseline's, in one run.

The step reads its targets from the store. The auxiliary decoders' own cost is that of
the same decoders on hard labels alone, so that what is left is distillation proper.

    python benchmarks/kd_step.py --recipe egs2/grammar_speech/asr_kd1 \\
        --baseline conf/small/train_asr_ctc.yaml \\
        --kd conf/small/train_asr_kd_ctc_interaed.yaml
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
import yaml
from tqdm import trange

from espnet_lmkd.asr.task import ASRKDTask
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.targets.store import TargetReader
from espnet_lmkd.targets.vocabulary import StudentTokenizer, read_token_list


def pad(arrays, value):
    """Stack arrays of different first axes."""
    tensors = [torch.from_numpy(np.array(array)) for array in arrays]
    return torch.nn.utils.rnn.pad_sequence(tensors, True, value), torch.tensor(
        [len(tensor) for tensor in tensors]
    )


def build(config, token_list, **changes):
    """Build a model from a yaml, with changes to its first distiller."""
    args = ASRKDTask.get_parser().parse_args(["--config", config])
    args.token_list = token_list
    for key, value in changes.items():
        args.model_conf["distillers"][0]["conf"][key] = value
    return ASRKDTask.build_model(args).train()


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="after its stage 7")
    parser.add_argument("--baseline", required=True)
    parser.add_argument("--kd", required=True)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    recipe = Path(args.recipe)
    (token_dir,) = recipe.glob("data/token_list/*")
    stores = [
        p for p in recipe.glob("dump/targets/*/*") if (p / "manifest.json").exists()
    ]
    store = min(stores, key=lambda path: len(path.name))
    manifest = yaml.safe_load((store / "manifest.json").read_text())
    token_list = read_token_list(token_dir / "tokens.txt")
    tokenizer = StudentTokenizer(
        manifest["tokenizer"]["token_type"], token_list, token_dir / "bpe.model"
    )
    data = recipe / "dump/raw" / store.name
    texts, wavs = read_table(data / "text"), read_table(data / "wav.scp")
    utterances = list(texts)[: args.batch_size]
    speech = [
        soundfile.read(recipe / wavs[utt], dtype="float32")[0] for utt in utterances
    ]
    batch = {"utt_id": utterances}
    batch["speech"], batch["speech_lengths"] = pad(speech, 0.0)
    ids = [np.array(tokenizer.ids(texts[utt])) for utt in utterances]
    batch["text"], batch["text_lengths"] = pad(ids, -1)
    readers = {
        name: TargetReader(store / f"{name}.scp") for name in manifest["targets"]
    }

    def read_targets():
        targets = {}
        for name, reader in readers.items():
            rows = [reader[utt] for utt in utterances]
            kind, value = (np.int64, -1) if name.endswith("ids") else (np.float32, 0.0)
            rows = [row.astype(kind) for row in rows]
            targets[name], targets[f"{name}_lengths"] = pad(rows, value)
        return targets

    def step(model, with_targets):
        started = time.process_time()
        targets = read_targets() if with_targets else {}
        copies = {k: v.clone() if torch.is_tensor(v) else v for k, v in batch.items()}
        model.zero_grad()
        model(**copies, **targets)[0].sum().backward()
        return time.process_time() - started

    models = {
        "baseline": (build(args.baseline, token_list), False),
        "decoders, hard labels": (build(args.kd, token_list, kd_weight=0.0), True),
        "method D": (build(args.kd, token_list), True),
    }
    seconds = {name: [] for name in models}
    for _ in trange(args.rounds):
        for name, (model, with_targets) in models.items():
            seconds[name].append(step(model, with_targets))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reading = statistics.median(timed(read_targets) for _ in range(args.rounds))
    base, aux = medians["baseline"], medians["decoders, hard labels"]
    print("| step | CPU s | / baseline |\n|---|---:|---:|")
    for name, value in medians.items():
        print(f"| {name} | {value:.3f} | {value / base:.3f} |")
    print(f"| of it: reading the store | {reading:.4f} | {reading / base:.4f} |")
    own = aux - base
    rest = 1 + (medians["method D"] - aux) / base
    print(f"| method D without the decoders' own cost | | {rest:.3f} |")
    print(f"| the decoders' own cost | {own:.3f} | {own / base:.3f} |")


def timed(function):
    """Return the CPU seconds of one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    main()
