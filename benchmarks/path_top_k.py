"""What a store of a transducer's path loses with K classes a node, against its bytes.

    python3 benchmarks/path_top_k.py --data_dir dump/raw/dev \
        --teacher exp/asr_rnnt_teacher_raw_en_bpe300_seed1/valid.loss.ave.pth

For the teacher's distribution P over all V classes at a node of its path, the K
likeliest as they are, and r, the probability of the others:

    KL lost = KL(P || Q_K),  Q_K = P on the K, r / (V - K) on each of the others
            = sum_{k > K} P_k log(P_k (V - K) / r)

Training compares r as one class only: what is lost is how it is spread. Beside it: r,
and the share of the entropy of P that its classes beyond K have. Means over nodes.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml

from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.targets.schema import KINDS, TARGETS
from espnet_lmkd.targets.vocabulary import StudentTokenizer
from espnet_lmkd.teachers.transducer import TransducerTeacher


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", required=True, help="checkpoint, by config.yaml")
    parser.add_argument("--data_dir", required=True, help="its text is aligned")
    parser.add_argument("--num_utts", type=int, default=100, help="evenly spread")
    parser.add_argument("--top_k", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--device", default="auto")
    return parser


def log_probs_of(args):
    """All log-probabilities (N, V) at the nodes of all paths, the likeliest first."""
    config = Path(args.teacher).with_name("config.yaml")
    conf = yaml.safe_load(config.read_text(encoding="utf-8"))
    tokens = conf["token_list"]
    teacher = TransducerTeacher(
        config, args.teacher, tokens, classes=len(tokens), device=args.device
    )
    tokenizer = StudentTokenizer(conf["token_type"], tokens, conf["bpemodel"])
    texts = read_table(Path(args.data_dir, "text"))
    nodes = []
    for utterance, path in read_inputs(args.data_dir, args.num_utts).files.items():
        speech = teacher.hearing.read(utterance, path)
        pair = (speech, tokenizer.ids(texts[utterance]))
        (arrays,) = teacher.path_topk([pair])
        nodes.append(arrays["teacher_path_topk_log_probs"].astype(np.float64))
    return np.concatenate(nodes)


def losses(log_probs, top_k):
    """KL lost, r and the entropy of the classes beyond K, at each node (N,)."""
    beyond = log_probs[:, top_k:]
    probs = np.exp(beyond)
    rest = probs.sum(1)
    entropy = -(probs * beyond).sum(1)
    if top_k == log_probs.shape[1]:
        return np.zeros_like(rest), rest, entropy
    spread = np.log(np.maximum(rest, 1e-300) / beyond.shape[1])
    return -entropy - rest * spread, rest, entropy


def bytes_of(top_k):
    """Bytes of a node, without the header of an array for each utterance."""
    sizes = [
        np.dtype(TARGETS[name].dtype).itemsize for name in KINDS["teacher_path_topk"]
    ]
    return 2 * sizes[0] + top_k * sum(sizes[1:])


@exits_cleanly
def main(cmd=None):
    args = get_parser().parse_args(cmd)
    log_probs = log_probs_of(args)
    vocab_size = log_probs.shape[1]
    _, _, whole = losses(log_probs, 0)
    print(f"{len(log_probs)} nodes, entropy {whole.mean():.4f} nats a node\n")
    print("| K | bytes a node | KL lost, nats | rest r | entropy beyond K |")
    print("|---:|---:|---:|---:|---:|")
    for top_k in sorted({k for k in args.top_k if k < vocab_size} | {vocab_size}):
        lost, rest, entropy = losses(log_probs, top_k)
        print(
            f"| {top_k} | {bytes_of(top_k)} | {lost.mean():.2e} | {rest.mean():.2e} |"
            f" {entropy.mean() / whole.mean():.2%} |"
        )


if __name__ == "__main__":
    main()
