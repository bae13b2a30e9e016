"""Texts, and a teacher whose numbers come from a seeded generator."""

import numpy as np

TOP_K = 3
TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefgh", "<sos/eos>"]
TEXTS = {
    "utt1": "a bad cab",
    "utt2": "a bag",
    "utt3": "feed a cab",
    "utt4": "a bag",
    "utt5": "dad",
}
DIMS = {"teacher_topk_ids": TOP_K, "teacher_topk_log_probs": TOP_K}


def fake_teacher(sentences):
    """Yield arrays that depend on the sentence only."""
    for ids in sentences:
        generator = np.random.default_rng(ids)
        shape = (len(ids), TOP_K)
        yield {
            "teacher_topk_ids": generator.integers(2, 11, shape),
            "teacher_topk_log_probs": -generator.exponential(size=shape),
        }
