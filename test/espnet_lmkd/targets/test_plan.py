import shutil
from collections import namedtuple

import pytest

from espnet_lmkd.errors import InputError


def test_each_text_once_sorted_by_length(plan_of):
    plan = plan_of()
    assert [len(unit.ids) for unit in plan.units] == [3, 5, 9, 10]
    assert plan.num_tokens == 27
    assert [len(shard) for shard in plan.shards] == [2, 2]


def test_speed_copies_fall_together(plan_of):
    plan = plan_of({"sp0.9-a": "dad", "a": "dad", "sp1.1-b": "bad"})
    assert set(plan.keys) == {"a", "b"}


def test_shard_key_sees_settings_and_units(plan_of, header):
    plan, other = plan_of(), plan_of({"utt1": "a cab"})
    assert plan.shard_key(0) == plan_of().shard_key(0) != other.shard_key(0)
    key = plan.shard_key(0)
    header["temperature"] = 2.0
    assert plan_of().shard_key(0) != key


@pytest.mark.parametrize(
    "texts, message",
    [
        ({"a": ""}, "'a' has an empty text"),
        ({"a": "dad", "sp0.9-a": "bad"}, "different texts"),
        ({"a": "a  b", "b": "a b"}, "white space"),
        ({"a": "abcdefgh", "b": "a"}, "too long for the teacher, first 'a'"),
        ({}, "no utterance"),
    ],
)
def test_bad_texts(plan_of, texts, message):
    with pytest.raises(InputError, match=message):
        plan_of(texts, max_tokens=4)


def test_drops_too_long_when_told(plan_of):
    plan = plan_of(max_tokens=5, drop_too_long=True)
    assert plan.dropped == {
        "utt1": "9 tokens, the teacher takes 5",
        "utt3": "10 tokens, the teacher takes 5",
    }
    assert len(plan.units) == 2


def test_disk(plan_of, tmp_path, monkeypatch):
    plan = plan_of()
    assert "27 tokens" in plan.check_disk(tmp_path / "not" / "yet")
    free = namedtuple("usage", "free")(plan.num_bytes() - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(InputError, match="disk is too small"):
        plan.check_disk(tmp_path)
