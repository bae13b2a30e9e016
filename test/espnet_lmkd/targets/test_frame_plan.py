import hashlib

import pytest
from fake_store import HEARD

from espnet_lmkd.errors import InputError


def test_each_utterance_by_itself_sorted_by_length(frame_plan_of, audio):
    plan = frame_plan_of()
    assert [unit.key for unit in plan.units] == ["utt1", "utt2", "utt3", "sp0.9-utt2"]
    assert [unit.source_length for unit in plan.units] == [4, 4, 4, 10]
    assert set(plan.keys) == set(HEARD), "copies are not merged"
    digest = hashlib.sha256(b"sound of utt1").hexdigest()[:16]
    assert plan.tables["audio_hash"]["utt1"] == digest
    assert plan.units[0].source == ("utt1", digest, plan.units[0].ids)


def test_rows_are_estimated_from_frames_and_tokens(frame_plan_of, tmp_path):
    plan = frame_plan_of()
    assert (plan.num_frames, plan.num_tokens) == (22, 10)
    assert "4 utterances, about 22 frames, 10 tokens" in plan.check_disk(tmp_path)
    # Two ids of int32, three of int32 and three of float16 a row.
    assert plan.num_bytes() > 32 * (8 + 12 + 6)
    assert plan.num_bytes() < 32 * (8 + 12 + 6) + 4 * 1000


def test_a_shard_is_another_one_with_other_audio(frame_plan_of, audio):
    before = frame_plan_of().shard_key(0)
    assert frame_plan_of().shard_key(0) == before
    audio["utt1"].write_text("another take")
    assert frame_plan_of().shard_key(0) != before


def test_the_audio_recorded_is_the_students(frame_plan_of, audio, tmp_path):
    own = {}
    for utterance in audio:
        own[utterance] = tmp_path / f"{utterance}.student"
        own[utterance].write_text(f"student's {utterance}")
    plan = frame_plan_of(student_audio=own)
    digest = hashlib.sha256(b"student's utt1").hexdigest()[:16]
    assert plan.tables["audio_hash"]["utt1"] == digest
    assert plan.units[0].source == frame_plan_of().units[0].source, "the teacher's"


def test_what_the_teacher_does_not_take(frame_plan_of):
    unsuitable = {"utt3": "0.010 s, too short for the teacher"}
    with pytest.raises(InputError, match="1 utterances .* first 'utt3' .0.010 s"):
        frame_plan_of(unsuitable=unsuitable)
    plan = frame_plan_of(unsuitable=unsuitable, drop_too_long=True)
    assert plan.dropped == unsuitable and len(plan.units) == 3
    assert "utt3" in plan.keys and "utt3" in plan.tables["text_hash"]


@pytest.mark.parametrize(
    "conf, message",
    [
        (dict(texts={"utt1": ""}), "'utt1' has an empty text"),
        (
            dict(
                texts={"utt1": "a"}, unsuitable={"utt1": "too long"}, drop_too_long=True
            ),
            "no utterance",
        ),
    ],
)
def test_bad_texts(frame_plan_of, conf, message):
    with pytest.raises(InputError, match=message):
        frame_plan_of(**conf)
