"""Extraction of top-k targets: batched against one masked token at a time.

    python3 benchmarks/extraction.py --text data/local/lm_train.txt

Both run in turn on the same sentences with a BERT of random weights over the words of
the text, or with a teacher of `mode: student`; "one by one" is the plain loop: a
forward pass and a softmax for each token.
"""

import argparse
import json
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import torch

from espnet_lmkd.targets.vocabulary import StudentTokenizer, read_token_list
from espnet_lmkd.teachers.from_scratch import build_masked_lm, student_tokenizer
from espnet_lmkd.teachers.lm_text import read_sentences
from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", required=True, help="text, one sentence a line")
    parser.add_argument("--teacher", help="folder, instead of random weights")
    parser.add_argument("--vocab_size", type=int, nargs="+", default=[300, 30522])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--sentences", type=int, default=40)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--top_k", type=int, default=8)
    parser.add_argument("--device", default="auto")
    return parser


def load_teacher(args, dtype):
    folder = Path(args.teacher)
    token_list = read_token_list(folder / "tokens.txt")
    token_type = json.loads((folder / "lmkd_teacher.json").read_text())["token_type"]
    return (
        MaskedLMTeacher.from_pretrained(
            folder, token_list, dtype=dtype, device=args.device
        ),
        StudentTokenizer(token_type, token_list, folder / "bpe.model"),
    )


def build_teacher(lines, args, vocab_size, dtype):
    words = Counter(word for line in lines for word in line.split())
    words = [word for word, _ in words.most_common(vocab_size - 4)]
    words += [f"unused{i}" for i in range(vocab_size - 4 - len(words))]
    token_list = ["<blank>", "<unk>", *words, "<sos/eos>"]
    tokenizer = student_tokenizer(token_list)
    torch.manual_seed(0)
    conf = dict(
        model_type="bert",
        hidden_size=args.width,
        num_hidden_layers=args.layers,
        num_attention_heads=4,
        intermediate_size=4 * args.width,
    )
    model = build_masked_lm(tokenizer, conf).to(getattr(torch, dtype))
    teacher = MaskedLMTeacher(model, tokenizer, token_list, device=args.device)
    return teacher, StudentTokenizer("word", token_list)


@torch.inference_mode()
def one_by_one(teacher, sentence, top_k):
    ids = [teacher.tokenizer.cls_token_id, *sentence, teacher.tokenizer.sep_token_id]
    for position in range(1, len(ids) - 1):
        masked = torch.tensor([ids], device=teacher.device)
        masked[0, position] = teacher.tokenizer.mask_token_id
        logits = teacher.model(input_ids=masked).logits[0, position]
        log_probs, best = logits.float().log_softmax(-1).topk(top_k)
        log_probs.cpu().numpy(), best.cpu().numpy()


def tokens_per_second(run, sentences):
    start = time.perf_counter()
    run()
    return sum(map(len, sentences)) / (time.perf_counter() - start)


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    lines = read_sentences(args.text)
    name = args.teacher or f"BERT of {args.layers} layers, {args.width} wide"
    print(f"{name}, {torch.get_num_threads()} threads")
    print("| vocabulary | dtype | one by one, tokens/s | batched, tokens/s | ratio |")
    print("|---|---|---|---|---|")
    for vocab_size in [None] if args.teacher else args.vocab_size:
        for dtype in args.dtype:
            if args.teacher:
                teacher, student = load_teacher(args, dtype)
            else:
                teacher, student = build_teacher(lines, args, vocab_size, dtype)
            chosen = lines[:: max(1, len(lines) // args.sentences)]
            sentences = [student.ids(line) for line in islice(chosen, args.sentences)]
            sentences.sort(key=len)
            some = sentences[::8]
            one_by_one(teacher, some[0], args.top_k)
            list(teacher.topk_log_probs(sentences[:4], args.top_k))
            slow = tokens_per_second(
                lambda: [one_by_one(teacher, s, args.top_k) for s in some], some
            )
            fast = tokens_per_second(
                lambda: list(teacher.topk_log_probs(sentences, args.top_k)), sentences
            )
            print(
                f"| {teacher.vocab_size} | {dtype} | {slow:.0f} | {fast:.0f} |"
                f" {fast / slow:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
