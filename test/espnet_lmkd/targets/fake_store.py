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


# One word each, a frame a letter of the file's name and two more.
HEARD = {"utt1": "bad", "utt2": "cab", "sp0.9-utt2": "cab", "utt3": "a"}
FRAME_DIMS = {
    "teacher_path": 2,
    "teacher_path_topk_ids": TOP_K,
    "teacher_path_topk_log_probs": TOP_K,
}


def fake_path_teacher(sources):
    """Yield a path with labels at random frames, and arrays along it."""
    for utterance, digest, ids in sources:
        generator = np.random.default_rng(int(digest, 16))
        frames = len(utterance) + 2
        emitted = sorted(generator.integers(0, frames, len(ids)))
        path = [
            (t, sum(e < t for e in emitted) + k)
            for t in range(frames)
            for k in range(emitted.count(t) + 1)
        ]
        shape = (len(path), TOP_K)
        yield {
            "teacher_path": np.array(path),
            "teacher_path_topk_ids": generator.integers(2, 11, shape),
            "teacher_path_topk_log_probs": -generator.exponential(size=shape),
        }
