"""Three texts of characters, their token list and a store that knows them."""

import numpy as np

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.vocabulary import StudentTokenizer
from espnet_lmkd.targets.writer import merge, write_shards

TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefgh", "<sos/eos>"]
TEXTS = {"utt_a": "ab cd", "utt_b": "hag", "utt_c": "ab cd"}


def uniform_teacher(texts):
    """Three guesses at every token."""
    for text in texts:
        rows = len(text)
        yield {
            "teacher_topk_ids": np.tile(np.array([3, 4, 5]), (rows, 1)),
            "teacher_topk_log_probs": np.full((rows, 3), -2.0),
        }


def make_store(folder):
    """Write text, tokens.txt and store."""
    student = StudentTokenizer("char", TOKENS)
    header = dict(side="text", teacher={"id": "x"}, layer=None, temperature=1.0)
    header.update(top_k=3, tokenizer=student.record(), shuffled_seed=None)
    dims = {"teacher_topk_ids": 3, "teacher_topk_log_probs": 3}
    plan = make_plan(TEXTS, student, header, dims, 100)
    write_shards(plan, folder / "store", uniform_teacher)
    merge(plan, folder / "store")
    write_table(folder / "text", TEXTS)
    (folder / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
