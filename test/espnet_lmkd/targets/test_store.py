import multiprocessing
import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from fake_store import DIMS, TEXTS, TOKENS, fake_teacher

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.schema import to_stored
from espnet_lmkd.targets.store import TargetReader
from espnet_lmkd.targets.writer import merge, write_shards


def expected(name, text):
    ids = [TOKENS.index("<space>" if c == " " else c) for c in text]
    (arrays,) = fake_teacher([tuple(ids)])
    return to_stored(name, arrays[name])


@pytest.mark.parametrize("name", DIMS)
def test_round_trip(store, name):
    reader = TargetReader(store / f"{name}.scp")
    assert sorted(reader) == sorted(TEXTS) and len(reader) == len(TEXTS)
    for utterance, text in TEXTS.items():
        for copy in (utterance, f"sp0.9-{utterance}", f"sp1.1-{utterance}"):
            assert copy in reader
            array = reader[copy]
            assert array.dtype == expected(name, text).dtype
            np.testing.assert_array_equal(array, expected(name, text))
    assert "other" not in reader
    with pytest.raises(InputError, match="'other' is not in the target store"):
        reader["other"]


def test_kaldiio_reads_it_too(store):
    entry = TargetReader(store / "teacher_topk_ids.scp").places["utt5"]
    array = kaldiio.load_mat(f"{store}/{entry[0]}:{entry[1]}")
    np.testing.assert_array_equal(array, expected("teacher_topk_ids", "dad"))


def test_dropped_utterance_is_empty(tmp_path, plan_of):
    plan = plan_of(max_tokens=5, drop_too_long=True)
    write_shards(plan, tmp_path, fake_teacher)
    merge(plan, tmp_path)
    reader = TargetReader(tmp_path / "teacher_topk_log_probs.scp")
    assert reader["sp0.9-utt3"].shape == (0, 3)
    assert reader["utt3"].dtype == np.float16
    assert len(reader) == 5 and "utt3" in reader


def read_everything(reader):
    return sum(int(reader[utterance].sum()) for utterance in reader for _ in range(50))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_do_not_disturb_each_other(store, method):
    reader = TargetReader(store / "teacher_topk_ids.scp")
    total = read_everything(reader)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(read_everything, [reader] * 4) == [total] * 4


def test_pickles_after_reading(store):
    reader = TargetReader(store / "teacher_topk_ids.scp")
    reader["utt1"]
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again["utt1"], reader["utt1"])


class Attack:
    def __reduce__(self):
        return Path.touch, (Path(Attack.path),)


def test_never_unpickles(store, tmp_path):
    Attack.path = str(tmp_path / "executed")
    shard = store / "teacher_topk_ids.0.ark"
    payload = b"PKL" + pickle.dumps(Attack())
    reader = TargetReader(store / "teacher_topk_ids.scp")
    file, offset = reader.places["utt5"]
    content = shard.read_bytes()
    content = content[:offset] + payload + content[offset + len(payload) :]
    shard.write_bytes(content)
    with pytest.raises(InputError, match="corrupt"):
        reader["utt5"]
    assert not Path(Attack.path).exists()
    kaldiio.load_mat(f"{shard}:{offset}")
    assert Path(Attack.path).exists(), "the attack would have worked"


def test_never_loads_an_object_array(store):
    reader = TargetReader(store / "teacher_topk_ids.scp")
    shard = store / reader.places["utt5"][0]
    content = bytearray(shard.read_bytes())
    content[:] = content.replace(b"'<i4'", b"'|O' ")
    shard.write_bytes(content)
    with pytest.raises(InputError, match="corrupt"):
        reader["utt5"]


@pytest.mark.parametrize(
    "entry",
    ["touch executed |", "| touch executed", "/etc/passwd:0", "../x.ark:0", "x.ark"],
)
def test_rejects_what_is_no_place_in_the_store(store, entry, monkeypatch):
    monkeypatch.chdir(store)
    scp = store / "teacher_topk_ids.scp"
    scp.write_text(f"utt1 {entry}\n")
    with pytest.raises(InputError, match="no place in a shard"):
        TargetReader(scp)
    assert not Path("executed").exists()


def test_detects_a_truncated_shard(store):
    shard = store / "teacher_topk_ids.1.ark"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="teacher_topk_ids.1.ark"):
        TargetReader(store / "teacher_topk_ids.scp")


def test_an_unfinished_store_is_refused(store):
    (store / "manifest.json").unlink()
    with pytest.raises(InputError, match="no finished target store.*stage 7"):
        TargetReader(store / "teacher_topk_ids.scp")


def test_a_store_without_this_target_is_refused(store):
    with pytest.raises(InputError, match="not teacher_hidden"):
        TargetReader(store / "teacher_hidden.scp")
