import json

import numpy as np
import pytest
from fake_store import HEARD, fake_path_teacher, fake_teacher

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.writer import merge, write_shards


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Killed(Exception):
    pass


def teacher_that_dies_after(count):
    def teacher(sentences):
        nonlocal count
        for arrays in fake_teacher(sentences):
            if count == 0:
                raise Killed
            count -= 1
            yield arrays

    return teacher


@pytest.mark.parametrize("units_before_death", range(4))
def test_resumes_to_the_same_bytes(store, tmp_path, plan_of, units_before_death):
    plan, out = plan_of(), tmp_path / "out"
    with pytest.raises(Killed):
        write_shards(plan, out, teacher_that_dies_after(units_before_death))
    with pytest.raises(InputError, match="shards are missing"):
        merge(plan, out)
    finished = units_before_death // plan.shard_size * plan.shard_size
    write_shards(plan, out, teacher_that_dies_after(len(plan.units) - finished))
    merge(plan, out)
    assert contents(out) == contents(store)


def test_jobs_write_the_same_bytes(store, tmp_path, plan_of):
    plan, out = plan_of(), tmp_path / "out"
    for job in (2, 1):
        write_shards(plan, out, fake_teacher, job, nj=2)
    merge(plan, out)
    assert contents(out) == contents(store)


def test_a_second_run_computes_nothing(store, plan_of):
    before = contents(store)
    write_shards(plan_of(), store, teacher_that_dies_after(0))
    merge(plan_of(), store)
    assert contents(store) == before


def test_a_corrupt_shard_is_written_again(store, plan_of):
    before = contents(store)
    shard = store / "teacher_topk_ids.1.ark"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    write_shards(plan_of(), store, teacher_that_dies_after(2))
    merge(plan_of(), store)
    assert contents(store) == before


def test_other_settings_replace_the_store(store, plan_of, header, tmp_path):
    header["teacher"] = {"id": "another"}
    plan = plan_of({"utt1": "a bad cab"})
    with pytest.raises(Killed):
        write_shards(plan, store, teacher_that_dies_after(0))
    assert not (store / "manifest.json").exists(), "a half replaced store is unfinished"
    for out in (store, tmp_path / "fresh"):
        write_shards(plan, out, fake_teacher)
        merge(plan, out)
    assert contents(store) == contents(tmp_path / "fresh")


def test_leftovers_of_others_are_left(store, plan_of):
    for name in ("wav.scp", "notes.json"):
        (store / name).write_text("mine")
    (store / "teacher_topk_ids.7.ark.tmp").write_text("torn")
    merge(plan_of(), store)
    assert (store / "wav.scp").exists() and (store / "notes.json").exists()
    assert not (store / "teacher_topk_ids.7.ark.tmp").exists()


def test_manifest(store):
    manifest = json.loads((store / "manifest.json").read_text())
    assert manifest["num_utterances"] == 5
    assert manifest["num_units"] == 4
    assert manifest["num_tokens"] == 27
    assert manifest["targets"]["teacher_topk_ids"] == {"dtype": "int32", "dim": 3}
    assert len(manifest["shards"]) == 4


def test_paths_survive_a_death_and_jobs(frame_store, tmp_path, frame_plan_of):
    def dying(sources):
        yield from list(fake_path_teacher(sources))[:1]
        raise Killed

    plan, out = frame_plan_of(), tmp_path / "out"
    with pytest.raises(Killed):
        write_shards(plan, out, dying)
    for job in (2, 1):
        write_shards(plan, out, fake_path_teacher, job, nj=2)
    merge(plan, out)
    assert contents(out) == contents(frame_store)


def test_a_row_for_each_frame_and_each_token(frame_store):
    frames = read_table(frame_store / "utt2num_frames")
    assert frames == {utterance: str(len(utterance) + 2) for utterance in HEARD}
    tokens = read_table(frame_store / "utt2num_tokens")
    assert tokens == {utterance: str(len(text)) for utterance, text in HEARD.items()}
    manifest = json.loads((frame_store / "manifest.json").read_text())
    assert manifest["num_units"] == 4 and manifest["num_tokens"] == 10
    assert manifest["num_rows"] == 10 + 6 + 6 + 12 + 6
    stored = [x for x in manifest["shards"] if x["file"].startswith("teacher_path.")]
    per_row = manifest["storage"]["teacher_path"]["bytes_per_row"]
    assert per_row == pytest.approx(sum(x["bytes"] for x in stored) / 40, abs=1e-3)


def test_other_audio_is_extracted_again(frame_store, frame_plan_of, audio):
    audio["utt1"].write_text("another take")
    asked = []

    def compute(sources):
        asked.extend(utterance for utterance, _, _ in sources)
        return fake_path_teacher(sources)

    write_shards(frame_plan_of(), frame_store, compute)
    assert "utt1" in asked and len(asked) == 2, "its shard and no other"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda arrays: arrays["teacher_path"][:-1], "ends after"),
        (lambda arrays: arrays["teacher_path"][1:], "has shape"),
    ],
)
def test_a_path_that_is_none(frame_plan_of, tmp_path, change, message):
    def teacher(sources):
        for _, digest, ids in sources:  # all labels at the last frame
            path = [(t, 0) for t in range(3)] + [(2, u + 1) for u in range(len(ids))]
            arrays = next(fake_path_teacher([("x", digest, ids)]))
            arrays["teacher_path"] = np.array(path)
            yield arrays | {"teacher_path": change(arrays)}

    with pytest.raises(ValueError, match=message):
        write_shards(frame_plan_of(), tmp_path / "out", teacher)
