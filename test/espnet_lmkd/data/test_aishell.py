import os

import numpy as np
import pytest
import soundfile
from recipes import run_data_sh, validate_in

from espnet_lmkd.data.overlap import count_overlap

ROOT = os.environ.get("LMKD_DATA")


def write_aishell(corpus, parts):
    lines = []
    for part, utterances in parts.items():
        for name, text in utterances.items():
            path = corpus / "wav" / part / name[6:11] / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros(1600), 16000)
            if text:
                lines.append(f"{name} {text}\n")
    (corpus / "transcript").mkdir(parents=True)
    (corpus / "transcript" / "aishell_transcript_v0.8.txt").write_text("".join(lines))
    return corpus


PARTS = {
    "train": {"BAC009S0002W0001": "而 对 楼市", "BAC009S0002W0002": ""},
    "dev": {"BAC009S0724W0001": "广州 市"},
    "test": {"BAC009S0764W0001": "甚至 出现"},
}


def overlap(data):
    texts = [data / name / "text" for name in ("dev", "test")]
    return sum(row[-1] for row in count_overlap([data / "local/lm_train.txt"], texts))


def test_layout(tmp_path):
    corpus, lm = write_aishell(tmp_path / "data_aishell", PARTS), tmp_path / "lm.txt"
    lm.write_text("广州市\n今天\n", "utf-8")
    run = run_data_sh("aishell", tmp_path / "r", AISHELL=corpus, AISHELL_LM_TEXT=lm)
    assert run.returncode == 0, run.stderr
    assert "train: 1 utterances without a transcript left out" in run.stdout
    train = validate_in(tmp_path / "r", "train")
    assert train["text"] == {"S0002-BAC009S0002W0001": "而对楼市"}
    assert train["utt2spk"] == {"S0002-BAC009S0002W0001": "S0002"}
    text = (tmp_path / "r/data/local/lm_train.txt").read_text("utf-8").splitlines()
    assert text == ["而对楼市", "今天"]


def test_one_folder_is_cut_by_utterances(tmp_path):
    names = {f"BAC009S0002W{i:04d}": f"第{i}句" for i in range(40)}
    corpus = write_aishell(tmp_path / "data_aishell", {"sample": names})
    run = run_data_sh("aishell", tmp_path / "r", AISHELL=corpus)
    assert run.returncode == 0, run.stderr
    sets = [validate_in(tmp_path / "r", n)["text"] for n in ("train", "dev", "test")]
    assert [len(x) for x in sets] == [32, 4, 4]
    assert len({utterance for x in sets for utterance in x}) == 40
    assert overlap(tmp_path / "r/data") == 0


def test_says_what_is_wrong(tmp_path):
    def error(corpus):
        run = run_data_sh("aishell", tmp_path / "r", AISHELL=corpus)
        assert run.returncode == 1 and "Traceback" not in run.stderr
        return run.stderr

    assert "one transcript/*.txt were wanted" in error("/nowhere")
    two = {name: PARTS[name] for name in ("train", "dev")}
    corpus = write_aishell(tmp_path / "two", two)
    assert "found ['dev', 'train']" in error(corpus)
    (corpus / "transcript/aishell_transcript_v0.8.txt").write_text("BAC009S0002W0001\n")
    assert ":1: 'BAC009S0002W0001' has an empty text" in error(corpus)


@pytest.mark.skipif(not ROOT, reason="LMKD_DATA names no corpora")
def test_the_sample_as_it_lies(tmp_path):
    run = run_data_sh("aishell", tmp_path, LMKD_DATA=os.path.abspath(ROOT))
    assert run.returncode == 0, run.stderr
    sets = [validate_in(tmp_path, name)["text"] for name in ("train", "dev", "test")]
    assert [len(x) for x in sets] == [800, 100, 100]
    assert overlap(tmp_path / "data") == 0
