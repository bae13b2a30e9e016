"""A teacher over its own tokens: the student's vocabulary plays no part."""

import argparse

import numpy as np
import pytest

from espnet_lmkd.bin.extract_targets import main
from espnet_lmkd.data.directory import write_lines, write_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.shuffle import shuffle_store
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.targets.vocabulary import StudentTokenizer

TEXTS = {"utt1": "a b c", "utt2": "D E f", "utt3": "l k"}
STUDENT = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopDE", "<sos/eos>"]


@pytest.fixture
def store(teacher_folder, tmp_path):
    write_lines(tmp_path / "student.txt", STUDENT)
    write_table(tmp_path / "text", TEXTS)
    main(
        ["--text", str(tmp_path / "text"), "--teacher", str(teacher_folder)]
        + ["--token_type", "char", "--token_list", str(tmp_path / "student.txt")]
        + ["--targets", "teacher_tokens_topk", "--top_k", "4", "--text_case", "lower"]
        + ["--device", "cpu", "--out", str(tmp_path / "store")]
    )
    return tmp_path / "store"


def read(store, utterance):
    names = ("teacher_tokens", "teacher_tokens_topk_ids")
    names += ("teacher_tokens_topk_log_probs",)
    return [TargetReader(store / f"{name}.scp")[utterance] for name in names]


def test_rows_are_the_teachers_tokens(store, make_teacher, tokens):
    teacher = make_teacher()
    for utterance, text in TEXTS.items():
        expected = [tokens.index(token) for token in text.lower().split()]
        (topk,) = teacher.topk_log_probs([expected], 4)
        ids, topk_ids, log_probs = read(store, "sp1.1-" + utterance)
        assert ids[:, 0].tolist() == expected
        np.testing.assert_array_equal(topk_ids, topk["teacher_topk_ids"])
        np.testing.assert_allclose(
            log_probs, topk["teacher_topk_log_probs"], atol=2e-3, rtol=2e-3
        )


def test_any_student_may_use_it_but_only_with_the_same_texts(store):
    student = StudentTokenizer("char", STUDENT)
    check_store(store, TEXTS, student.record(), student).raise_if_bad()
    with pytest.raises(InputError, match="another text now: utt3"):
        check_store(store, TEXTS | {"utt3": "l"}, student.record()).raise_if_bad()


def test_the_shuffled_control_keeps_the_text(store, tmp_path):
    shuffle_store(store, tmp_path / "shuffled", seed=1)
    before = np.concatenate([read(store, u)[1] for u in TEXTS])
    after = np.concatenate([read(tmp_path / "shuffled", u)[1] for u in TEXTS])
    assert before.tolist() != after.tolist()
    assert sorted(before.tolist()) == sorted(after.tolist())
    for utterance in TEXTS:
        own, shuffled = (read(s, utterance)[0] for s in (store, tmp_path / "shuffled"))
        np.testing.assert_array_equal(own, shuffled)


def test_training_takes_the_sizes_from_the_store(store, tokens):
    task = pytest.importorskip("espnet_lmkd.asr.task")
    entry = {"type": "interaed_wordpiece", "conf": {"layers": [1]}}
    args = argparse.Namespace(
        target_store=[str(store)],
        train_data_path_and_name_and_type=[],
        model_conf={"distillers": [entry]},
    )
    task.add_targets(args)
    task.complete_distillers(args)
    tokenizer = read_manifest(store)["tokenizer"]
    end = tokens.index("<sos/eos>")
    assert tokenizer["vocab_size"] == len(tokens) + 1  # with the mask
    assert entry["conf"] == {
        "layers": [1],
        "vocab_size": len(tokens) + 1,
        "sos": end,
        "eos": end,
    }
    entry["conf"]["vocab_size"] = 7
    with pytest.raises(InputError, match="vocab_size is 7, but the store"):
        task.complete_distillers(args)
