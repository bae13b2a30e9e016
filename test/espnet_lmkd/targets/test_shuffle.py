import numpy as np
import pytest
from fake_store import DIMS, HEARD, TEXTS

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.shuffle import shuffle_store
from espnet_lmkd.targets.store import TargetReader, read_manifest


def rows(store):
    """All rows of the different texts, ids and log-probs of a row side by side."""
    readers = [TargetReader(store / f"{name}.scp") for name in DIMS]
    units = {text: utterance for utterance, text in TEXTS.items()}.values()
    return np.concatenate(
        [np.concatenate([reader[u] for reader in readers], axis=1) for u in units]
    )


def test_permutes_the_rows_and_nothing_else(store, tmp_path, student):
    shuffle_store(store, tmp_path / "shuffled", seed=0)
    before, after = rows(store), rows(tmp_path / "shuffled")
    assert not (before == after).all()
    np.testing.assert_array_equal(
        before[np.lexsort(before.T)], after[np.lexsort(after.T)]
    )
    report = check_store(tmp_path / "shuffled", TEXTS, student.record(), student, True)
    report.raise_if_bad()
    assert read_manifest(store)["shuffled_seed"] is None
    assert read_manifest(tmp_path / "shuffled")["shuffled_seed"] == 0


def test_same_seed_same_bytes(store, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        shuffle_store(store, tmp_path / name, seed)
    manifests = [read_manifest(tmp_path / name)["shards"] for name in "abc"]
    assert manifests[0] == manifests[1] != manifests[2]


def test_refuses_to_overwrite_its_source(store):
    with pytest.raises(InputError, match="is the store itself"):
        shuffle_store(store, store, seed=0)


def test_paths_stay_and_what_is_said_there_moves(frame_store, tmp_path, student, audio):
    shuffle_store(frame_store, tmp_path / "shuffled", seed=0)

    def read(store, name):
        reader = TargetReader(store / f"{name}.scp")
        return [reader[utterance] for utterance in HEARD]

    both = (frame_store, tmp_path / "shuffled")
    for before, after in zip(*(read(store, "teacher_path") for store in both)):
        np.testing.assert_array_equal(before, after)
    rows = []
    for store in both:
        topk = [f"teacher_path_topk_{what}" for what in ("ids", "log_probs")]
        arrays = [np.concatenate(read(store, name)) for name in topk]
        rows.append(np.concatenate(arrays, axis=1))
    assert (rows[0] != rows[1]).any(1).mean() > 0.9
    np.testing.assert_array_equal(*(x[np.lexsort(x.T)] for x in rows))
    report = check_store(
        both[1], HEARD, student.record(), student, sha256=True, audio=audio
    )
    report.raise_if_bad()
