"""A store without a real teacher."""

import pytest
from fake_store import DIMS, TEXTS, TOKENS, TOP_K, fake_teacher

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
