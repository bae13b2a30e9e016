"""A store without a real teacher."""

import pytest
from fake_store import (
    DIMS,
    FRAME_DIMS,
    HEARD,
    TEXTS,
    TOKENS,
    TOP_K,
    fake_path_teacher,
    fake_teacher,
)

from espnet_lmkd.targets.frame_plan import make_frame_plan
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.vocabulary import StudentTokenizer
from espnet_lmkd.targets.writer import merge, write_shards


@pytest.fixture
def student():
    return StudentTokenizer("char", TOKENS)


@pytest.fixture
def header(student):
    return {
        "side": "text",
        "teacher": {"id": "fake"},
        "layer": None,
        "temperature": 1.0,
        "top_k": TOP_K,
        "tokenizer": student.record(),
        "shuffled_seed": None,
    }


@pytest.fixture
def plan_of(student, header):
    def plan_of(texts=TEXTS, max_tokens=100, shard_size=2, **conf):
        return make_plan(
            texts, student, header, DIMS, max_tokens, shard_size=shard_size, **conf
        )

    return plan_of


@pytest.fixture
def store(tmp_path, plan_of):
    plan = plan_of()
    write_shards(plan, tmp_path / "store", fake_teacher)
    merge(plan, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def audio(tmp_path):
    """File of each utterance of HEARD."""
    files = {utterance: tmp_path / f"{utterance}.wav" for utterance in HEARD}
    for utterance, path in files.items():
        path.write_text(f"sound of {utterance}")
    return files


@pytest.fixture
def frame_plan_of(student, header, audio):
    def frame_plan_of(texts=HEARD, unsuitable=(), shard_size=2, **conf):
        return make_frame_plan(
            texts,
            {utterance: audio[utterance] for utterance in texts},
            {utterance: len(utterance) / 10 for utterance in texts},
            student,
            {**header, "side": "frame"},
            FRAME_DIMS,
            frames_per_second=10.0,
            unsuitable=dict(unsuitable),
            shard_size=shard_size,
            **conf,
        )

    return frame_plan_of


@pytest.fixture
def frame_store(tmp_path, frame_plan_of):
    plan = frame_plan_of()
    write_shards(plan, tmp_path / "frames", fake_path_teacher)
    merge(plan, tmp_path / "frames")
    return tmp_path / "frames"
