import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.ark import (
    ark_writer,
    column_scale,
    deflate,
    dequantize,
    inflate,
    quantize,
)
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.shuffle import shuffle_store
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.targets.writer import merge, write_shards

DIM = 64
TEXTS = {f"utt{i}": "abcdefgh"[: 1 + i] * 6 for i in range(8)}


def hidden_teacher(sentences):
    for ids in sentences:
        generator = np.random.default_rng(ids)
        # Some columns are far larger than others, as in a language model.
        columns = np.linspace(0.01, 30, DIM)
        yield {"teacher_hidden": generator.normal(size=(len(ids), DIM)) * columns}


@pytest.fixture
def make_store(student, tmp_path):
    def make_store(dtype):
        store = tmp_path / dtype
        plan = make_plan(
            TEXTS,
            student,
            {"tokenizer": student.record()},
            {"teacher_hidden": DIM},
            40,
            drop_too_long=True,
            shard_size=3,
            dtypes={"teacher_hidden": dtype},
        )
        write_shards(plan, store, hidden_teacher)
        merge(plan, store)
        return store

    return make_store


@given(
    arrays(
        np.float32, (5, 3), elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=0)
    )
)
def test_error_is_half_a_scale(values):
    scale = column_scale([values[:2], values[2:]])
    stored = quantize(values, scale)
    assert stored.dtype == np.int8 and stored.min() >= -127
    restored = dequantize(stored, scale)
    assert restored.dtype == np.float32
    assert (np.abs(restored - values) <= 0.5001 * scale).all()
    # The largest value of a column is exact up to float32.
    largest = np.abs(values).argmax(0), range(3)
    np.testing.assert_allclose(
        restored[largest], values[largest], rtol=1e-5, atol=1e-30
    )


def test_int8_store_gives_floats_back(make_store, student):
    store = make_store("int8")
    reader = TargetReader(store / "teacher_hidden.scp")
    kept = [utterance for utterance in TEXTS if utterance not in reader.dropped]
    rows = np.concatenate([reader[utterance] for utterance in kept])
    sentences = [student.ids(TEXTS[utterance]) for utterance in kept]
    exact = np.concatenate([x["teacher_hidden"] for x in hidden_teacher(sentences)])
    assert rows.dtype == reader["utt7"].dtype == np.float32
    assert reader["sp0.9-utt7"].shape == (0, DIM)

    error = np.sqrt(((rows - exact) ** 2).sum() / (exact**2).sum())
    storage = read_manifest(store)["storage"]["teacher_hidden"]
    assert storage["relative_error"] == pytest.approx(error, rel=1e-3)
    assert 0.002 < error < 0.02
    # The relative error of small columns is that of large ones.
    by_column = np.sqrt(((rows - exact) ** 2).mean(0) / (exact**2).mean(0))
    assert by_column.max() < 0.02
    check_store(store, TEXTS, student.record(), student, sha256=True).raise_if_bad()


def test_bytes_per_row(make_store):
    sizes = {}
    for dtype in ("float32", "float16", "int8"):
        store = make_store(dtype)
        storage = read_manifest(store)["storage"]["teacher_hidden"]
        paths = list(store.glob("*.ark"))
        tokens = read_manifest(store)["num_tokens"]
        measured = sum(path.stat().st_size for path in paths) / tokens
        assert storage["bytes_per_row"] == pytest.approx(measured, abs=1e-3)
        sizes[dtype] = measured * tokens
    payload = tokens * DIM
    assert sizes["float32"] - sizes["float16"] == pytest.approx(2 * payload)
    # A scale for each of the two shards, and values of random columns deflate little.
    more = sizes["int8"] - (sizes["float16"] - payload)
    assert -0.3 * payload < more - 2 * (4 * DIM + 150) < 0


@given(arrays(np.int8, st.tuples(st.integers(0, 9), st.just(7))))
def test_inflate_undoes_deflate(values):
    np.testing.assert_array_equal(inflate(deflate(values), 7), values)


def test_shuffled_int8_store(make_store, tmp_path, student):
    store = make_store("int8")
    shuffle_store(store, tmp_path / "shuffled", seed=0)
    report = check_store(tmp_path / "shuffled", TEXTS, student.record(), student, True)
    report.raise_if_bad()

    def rows(folder):
        reader = TargetReader(folder / "teacher_hidden.scp")
        values = np.concatenate([reader[utterance] for utterance in TEXTS])
        return values[values[:, -1].argsort()]

    before, after = rows(store), rows(tmp_path / "shuffled")
    scale = np.abs(before).max(0) / 127
    assert not (before[:, 0] == after[:, 0]).all()
    np.testing.assert_array_less(np.abs(before - after)[:, -1], 1.5 * scale[-1])


@pytest.mark.parametrize("damage", ["scale", "values", "type"])
def test_a_damaged_int8_shard(make_store, damage):
    store = make_store("int8")
    reader = TargetReader(store / "teacher_hidden.scp")
    shard = store / reader.places["utt0"][0]
    old, new = {
        "scale": (b"<f4", b"<i4"),
        "values": (b"\x78\x01", b"\x78\x02"),  # where a zlib stream begins
        "type": (b"|u1", b"|O1"),
    }[damage]
    shard.write_bytes(shard.read_bytes().replace(old, new))
    with pytest.raises(InputError, match="corrupt"):
        reader["utt0"]


@pytest.mark.parametrize("value, dtype", [(1e6, "float16"), (np.nan, "int8")])
def test_what_does_not_fit_is_refused(tmp_path, value, dtype):
    path = tmp_path / "x.ark"
    with pytest.raises(InputError, match=f"text key is not finite as {dtype}"):
        with ark_writer(path, "teacher_hidden", dtype) as ark:
            ark.add("key", np.full((2, 3), value, np.float32))
    assert not path.exists()


def test_int8_holds_what_float16_does_not(tmp_path):
    with ark_writer(tmp_path / "x.ark", "teacher_hidden", "int8") as ark:
        ark.add("key", np.full((2, 3), 1e6, np.float32))
    error, total = ark.squares
    assert error < 1e-9 * total
