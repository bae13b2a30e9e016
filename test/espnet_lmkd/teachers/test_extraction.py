import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from espnet_lmkd.bin.extract_targets import main
from espnet_lmkd.data.directory import write_lines, write_table
from espnet_lmkd.targets.schema import to_stored
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.teachers.pretrained import weights_sha256

TEXTS = {
    "utt1": "a b c",
    "utt2": "d e f g h",
    "utt3": "a b c",
    "utt4": "l k z b",
    "utt5": "a",
}


@pytest.fixture
def extract(teacher_folder, tokens, tmp_path):
    """Return a function that runs the command in this process."""
    write_lines(tmp_path / "tokens.txt", tokens)
    copies = {f"sp0.9-{utterance}": text for utterance, text in TEXTS.items()}
    write_table(tmp_path / "text", TEXTS | copies)

    def extract(*options, out="store", run=main):
        arguments = dict(
            text=tmp_path / "text",
            teacher=teacher_folder,
            token_list=tmp_path / "tokens.txt",
            out=tmp_path / out,
        )
        cmd = ["--token_type", "word", "--device", "cpu", "--top_k", "4"]
        cmd += [x for key, value in arguments.items() for x in (f"--{key}", value)]
        return run([str(x) for x in [*cmd, *options]])

    return extract


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_store_holds_what_the_teacher_says(extract, make_teacher, tmp_path, capsys):
    extract("--temperature", 2, "--shard_size", 2)
    assert "5 utterances, 4 different texts, 13 tokens" in capsys.readouterr().out
    teacher = make_teacher()
    (expected,) = teacher.topk_log_probs([[2, 3, 4]], 4, 2.0)
    for name, array in expected.items():
        reader = TargetReader(tmp_path / "store" / f"{name}.scp")
        for utterance in ("utt1", "utt3", "sp0.9-utt3"):
            np.testing.assert_allclose(
                reader[utterance], to_stored(name, array), atol=1e-3
            )
    manifest = read_manifest(tmp_path / "store")
    assert manifest["teacher"] == {
        "id": "teacher",
        "revision": None,
        "class": "BertForMaskedLM",
        "dtype": "float32",
        "weights_sha256": weights_sha256(teacher.model),
    }
    assert (manifest["top_k"], manifest["temperature"]) == (4, 2.0)


def test_hidden_states_of_a_teacher_on_the_same_tokens(extract, make_teacher, tmp_path):
    extract("--targets", "teacher_hidden", "--layers", 2)
    ids = torch.tensor([[14, 13, 12, 1, 3, 14]])
    with torch.no_grad():
        states = make_teacher().model(input_ids=ids, output_hidden_states=True)
    expected = states.hidden_states[2][0, 1:-1].numpy()
    reader = TargetReader(tmp_path / "store" / "teacher_hidden.scp")
    np.testing.assert_allclose(reader["utt4"], expected, atol=2e-3)
    manifest = read_manifest(tmp_path / "store")
    assert manifest["layers"] == [2]
    assert manifest["coverage"]["one_to_one"] == manifest["num_tokens"] == 13


def test_hidden_states_need_no_lm_head(extract, teacher_folder, tmp_path):
    model = AutoModelForMaskedLM.from_pretrained(teacher_folder)
    model.base_model.save_pretrained(teacher_folder)
    for out in ("store", "again"):
        extract("--targets", "teacher_hidden", out=out)
    assert contents(tmp_path / "store") == contents(tmp_path / "again")
    with pytest.raises(SystemExit):
        extract(out="topk")


def test_a_dry_run_writes_nothing(extract, tmp_path, capsys):
    extract("--dry_run")
    assert "4 different texts, 13 tokens: about 0.0 MB" in capsys.readouterr().out
    assert not (tmp_path / "store").exists()


def test_a_dry_run_says_what_a_small_disk_lacks(extract, monkeypatch, capsys):
    free = namedtuple("usage", "free")(1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(SystemExit):
        extract()
    assert "the disk is too small" in capsys.readouterr().err
    extract("--dry_run", "--nj", 8)
    assert "13 tokens: about 0.0 MB in" in capsys.readouterr().out


def test_jobs_and_one_process_write_the_same_bytes(extract, tmp_path):
    extract("--shard_size", 1)
    for job in (1, 2):
        extract("--shard_size", 1, "--nj", 2, "--job", job, out="jobs")
    extract("--shard_size", 1, "--merge", out="jobs")
    assert contents(tmp_path / "store") == contents(tmp_path / "jobs")


def extract_until_killed(cmd, folder, shards, pause):
    """Run the command and kill it, from within, some time after so many shards."""

    def watch():
        while len(list(folder.glob("*.json"))) < shards:
            time.sleep(0.001)
        time.sleep(pause)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    main(cmd)


def test_survives_sigkill_at_random_moments(extract, tmp_path):
    generator = random.Random(0)
    texts = {
        f"utt{i:03d}": " ".join(generator.choices("abcdefghijkl", k=16))
        for i in range(600)
    }
    write_table(tmp_path / "text", texts)
    extract("--shard_size", 20)
    # Its children start in no time, with all that is imported here.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["espnet_lmkd.teachers.masked_lm", "transformers.models.bert.modeling_bert"]
    )

    def run_and_kill(cmd):
        killed = tmp_path / "killed"
        shards = len(list(killed.glob("*.json"))) + generator.randrange(1, 5)
        moment = (killed, shards, generator.random() * 0.1)
        process = processes.Process(target=extract_until_killed, args=(cmd, *moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was killed before its end"

    for _ in range(3):
        extract("--shard_size", 20, out="killed", run=run_and_kill)
    assert not (tmp_path / "killed" / "manifest.json").exists()
    extract("--shard_size", 20, out="killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "store")


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--top_k", 13], "--top_k 13: the vocabulary has 12 tokens"),
        (["--teacher", "/no/such/teacher"], "teacher /no/such/teacher: no such folder"),
        (["--temperature", 0], "--temperature 0.0: above 0"),
        (["--targets", "teacher_hidden", "--layers", 9], "--layers 9"),
        (["--nj", 2, "--job", 3], "--job 3: 1 .. 2"),
        (["--merge"], "shards are missing"),
        (["--token_type", "bpe"], "no such SentencePiece model"),
    ],
)
def test_bad_options(extract, capsys, options, sentence):
    check_refusal(extract, capsys, sentence, *options)


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("utt1 a b\nutt2\n", "'utt2' has an empty text"),
        ("utt1 a b\nutt1 a\n", "duplicate id 'utt1'"),
        ("utt2 a b\nutt1 a\n", "not sorted"),
        (f"utt1 a\nutt2 {'a ' * 30}\n", "too long for the teacher, first 'utt2'"),
    ],
)
def test_bad_text(extract, capsys, tmp_path, content, sentence):
    (tmp_path / "text").write_text(content)
    check_refusal(extract, capsys, sentence)


def test_another_tokenizer(extract, capsys, tmp_path, tokens):
    write_lines(tmp_path / "tokens.txt", [*tokens[:2], "b", "a", *tokens[4:]])
    check_refusal(extract, capsys, "the teacher belongs to another tokenizer")


def check_refusal(extract, capsys, sentence, *options):
    with pytest.raises(SystemExit) as end:
        extract(*options)
    assert end.value.code == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert len(lines) == 1 and sentence in lines[0]
