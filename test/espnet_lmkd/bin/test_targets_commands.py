"""check_targets and shuffle_targets on a store made by hand."""

import numpy as np
import pytest

from espnet_lmkd.bin import check_targets, shuffle_targets
from espnet_lmkd.data.directory import write_lines, write_table
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.vocabulary import StudentTokenizer
from espnet_lmkd.targets.writer import merge, write_shards

TOKENS = ["<blank>", "<unk>", "<space>", *"abcd", "<sos/eos>"]
TEXTS = {"utt1": "bad", "utt2": "a cab"}


@pytest.fixture
def check(tmp_path):
    student = StudentTokenizer("char", TOKENS)
    header = {"tokenizer": student.record()}
    plan = make_plan(TEXTS, student, header, {"teacher_hidden": 2}, max_tokens=9)

    def compute(sentences):
        for ids in sentences:
            yield {"teacher_hidden": np.arange(2 * len(ids)).reshape(-1, 2)}

    write_shards(plan, tmp_path / "store", compute)
    merge(plan, tmp_path / "store")
    write_table(tmp_path / "text", TEXTS)
    write_lines(tmp_path / "tokens.txt", TOKENS)

    def check(*options, store="store"):
        paths = ["--text", tmp_path / "text", "--token_list", tmp_path / "tokens.txt"]
        cmd = ["--store", tmp_path / store, *paths, *options]
        check_targets.main([str(x) for x in cmd])

    return check


def test_good_store_and_its_shuffled_copy(check, tmp_path, capsys):
    check("--sha256")
    assert "2 utterances have their targets" in capsys.readouterr().out
    cmd = ["--store", tmp_path / "store", "--out", tmp_path / "b", "--seed", 3]
    shuffle_targets.main([str(x) for x in cmd])
    check("--sha256", store="b")


def test_bad_store(check, tmp_path, capsys):
    write_table(tmp_path / "text", {"utt1": "add", "utt3": "a"})
    write_lines(tmp_path / "tokens.txt", [*TOKENS[:-1], "e", "<sos/eos>"])
    with pytest.raises(SystemExit) as end:
        check()
    assert end.value.code == 1
    error = capsys.readouterr().err
    for part in ("another tokenizer", "no targets: utt3", "text now: utt1", "stage 7"):
        assert part in error
