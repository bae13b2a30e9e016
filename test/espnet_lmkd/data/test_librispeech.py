"""LibriSpeech's layout: small imitations of it, through three recipes."""

import numpy as np
import pytest
import soundfile
from recipes import (
    fail,
    number_of_overlaps,
    run_data_sh,
    speakers,
    succeed,
    validate_in,
)

from espnet_lmkd.data.directory import read_table


def write_libri(corpus, part, speaker, chapter, texts, suffix="flac"):
    folder = corpus / part / speaker / chapter
    folder.mkdir(parents=True)
    lines = []
    for index, text in enumerate(texts):
        utterance = f"{speaker}-{chapter}-{index:04d}"
        container = {"opus": ("OGG", "OPUS"), "sph": ("NIST", "PCM_16")}.get(suffix)
        options = dict(zip(("format", "subtype"), container)) if container else {}
        path = str(folder / f"{utterance}.{suffix}")
        soundfile.write(path, np.zeros(1600), 16000, **options)
        lines.append(f"{utterance} {text}\n")
    (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines), "utf-8")


@pytest.fixture
def libri(tmp_path):
    corpus = tmp_path / "LibriSpeech"
    table = ";ID  |SEX| SUBSET | MINUTES | NAME\n"
    suffixes = ("flac", "wav", "opus", "sph")
    for index in range(8):
        speaker = f"{10 + index}"
        table += f"{speaker} | {'FM'[index % 2]} | train-clean-100 | 8 | X\n"
        texts = [f"LINE {speaker} A", f"LINE {speaker} B"]
        write_libri(corpus, "train-clean-5", speaker, "7", texts, suffixes[index % 4])
    write_libri(corpus, "dev-clean-2", "90", "1", ["HELD OUT"], "opus")
    write_libri(corpus, "train-clean-extra", "91", "1", ["NEVER HEARD"])
    write_libri(corpus, "train-clean-extra", "10", "8", ["BY TEN"])
    write_libri(corpus, "train-clean-extra", "11", "8", ["BY ELEVEN"])
    write_libri(corpus, "train-clean-extra", "14", "8", ["BY FOURTEEN"])
    (corpus / "SPEAKERS.TXT").write_text(table, "utf-8")
    return corpus


def test_librispeech_layout(libri, tmp_path):
    lm = tmp_path / "lm.txt"
    lm.write_text("NEW LINE\nHeld  out\nNEVER HEARD\nLINE 12 A\nBY TEN\n", "utf-8")
    variables = {"MINI_LIBRISPEECH": libri, "LIBRISPEECH_LM_TEXT": lm}
    succeed(run_data_sh("mini_librispeech", tmp_path / "r", **variables))
    data = tmp_path / "r" / "data"
    for name in ("train", "dev", "test", "unlabelled"):
        validate_in(tmp_path / "r", name)
    dev = speakers(data, "dev")
    assert len(dev) == 3 and {int(speaker) % 2 for speaker in dev} == {0, 1}
    assert not dev & (speakers(data, "train") | speakers(data, "unlabelled"))
    assert speakers(data, "train") | dev == {f"{10 + index}" for index in range(8)}
    assert list(read_table(data / "test" / "text").values()) == ["HELD OUT"]
    sentences = (data / "local" / "lm_train.txt").read_text("utf-8").splitlines()
    train = set(read_table(data / "train" / "text").values())
    lm_only = {"NEW LINE"} | ({"LINE 12 A"} if "12" not in dev else set())
    assert set(sentences) == train | lm_only
    held_out = ("dev", "test", "unlabelled")
    assert number_of_overlaps(data, "local/lm_train.txt", held_out) == 0

    first = (data / "dev" / "utt2spk").read_text("utf-8")
    succeed(run_data_sh("mini_librispeech", tmp_path / "again", **variables))
    again = tmp_path / "again" / "data" / "dev" / "utt2spk"
    assert again.read_text("utf-8") == first


def test_librispeech_parts_of_the_training_set_are_nested(libri, tmp_path):
    options = ["--train_percents", "20", "50"]
    succeed(run_data_sh("mini_librispeech", tmp_path, *options, MINI_LIBRISPEECH=libri))
    data = tmp_path / "data"
    part, half, train, rest = (
        set(read_table(data / name / "text"))
        for name in ("train_20", "train_50", "train", "rest_20")
    )
    assert part < half < train and (len(part), len(half), len(train)) == (2, 5, 10)
    assert part | rest == train and not part & rest
    sentences = (data / "local" / "lm_train_20.txt").read_text("utf-8").splitlines()
    assert set(sentences) == set(read_table(data / "train_20" / "text").values())
    held_out = ("dev", "test", "unlabelled", "rest_20")
    assert number_of_overlaps(data, "local/lm_train_20.txt", held_out) == 0
    assert number_of_overlaps(data, "local/lm_train.txt", ["rest_20"]) == len(rest)


def test_librispeech_says_what_is_wrong(libri, tmp_path):
    def run():
        return run_data_sh("mini_librispeech", tmp_path / "r", MINI_LIBRISPEECH=libri)

    (libri / "train-clean-5" / "12" / "7" / "12-7-0001.opus").unlink()
    assert "trans.txt:2: utterance '12-7-0001' has no audio file" in fail(run())
    (libri / "train-clean-5" / "12" / "7" / "12-7.trans.txt").write_text("12-7-0000\n")
    assert "'12-7-0000' has an empty text" in fail(run())
    write_libri(libri, "dev-clean-2", "17", "1", ["A TRAINING SPEAKER"])
    (libri / "train-clean-5" / "12" / "7" / "12-7.trans.txt").write_text("")
    assert "speaker 17 is also in a training part" in fail(run())
    nowhere = run_data_sh("mini_librispeech", tmp_path, MINI_LIBRISPEECH="/nowhere")
    assert "MINI_LIBRISPEECH=/nowhere: a folder with train-clean-5" in fail(nowhere)


@pytest.mark.parametrize("recipe", ["librispeech_100", "librispeech"])
def test_librispeech_of_hundreds_of_hours(recipe, tmp_path):
    corpus, lm = tmp_path / "LibriSpeech", tmp_path / "lm.txt"
    parts = ["train-clean-100", "train-other-500"]
    parts += ["dev-clean", "dev-other", "test-clean", "test-other"]
    for index, part in enumerate(parts):
        write_libri(corpus, part, f"{index}", "1", [f"SAID IN {part.upper()}"])
    lm.write_text("SAID IN TEST-CLEAN\nNEW\nSAID IN TRAIN-OTHER-500\n", "utf-8")
    options = ["--train_parts", parts[0], "--unlabelled_parts", parts[1]]
    variables = {"LIBRISPEECH": corpus, "LIBRISPEECH_LM_TEXT": lm}
    succeed(run_data_sh(recipe, tmp_path, *options, **variables))
    data = tmp_path / "data"
    texts = {path.parent.name: read_table(path) for path in data.glob("*/text")}
    assert list(texts.pop("train").values()) == ["SAID IN TRAIN-CLEAN-100"]
    assert len(texts.pop("dev")) == 2 and list(texts.pop("unlabelled")) == ["1-1-0000"]
    assert set(texts) == {"dev_clean", "dev_other", "test_clean", "test_other"}
    sentences = (data / "local" / "lm_train.txt").read_text("utf-8").splitlines()
    assert sorted(sentences) == ["NEW", "SAID IN TRAIN-CLEAN-100"]
    missing = run_data_sh(
        recipe, tmp_path, "--train_parts", "train-clean-360", **variables
    )
    assert "train-clean-360 is missing" in fail(missing)
    assert "LIBRISPEECH is empty" in fail(run_data_sh(recipe, tmp_path, *options))
