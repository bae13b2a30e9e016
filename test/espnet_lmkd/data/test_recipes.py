"""The real corpora: small imitations of their layouts, and themselves where present."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipes import (
    EGS2,
    fail,
    number_of_overlaps,
    run_data_sh,
    speakers,
    succeed,
    validate_in,
)

ROOT = os.environ.get("LMKD_DATA")
needs_corpora = pytest.mark.skipif(not ROOT, reason="LMKD_DATA names no corpora")


TRAIN = {
    f"an{i}-{sex}{a}-b": f"WORD {a} {i}"
    for i in (1, 2)
    for sex in "fm"
    for a in ("aaa", "bbb", "ccc", "ddd", "eee")
}
TEST = {"an9-fzzz-b": "WORD aaa 1", "an8-fzzz-b": "NEW"}


def write_an4(folder, suffix):
    (folder / "etc").mkdir(parents=True)
    for part, texts in (("train", TRAIN), ("test", TEST)):
        wavs = {"train": "an4_clstk", "test": "an4test_clstk"}[part]
        ids, lines = [], []
        for name, words in texts.items():
            file_id = f"{wavs}/{name.split('-')[1]}/{name}"
            path = folder / "wav" / f"{file_id}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = ("NIST", "PCM_16") if suffix == "sph" else ("OGG", "OPUS")
            soundfile.write(
                str(path), np.zeros(1600), 16000, format=kind[0], subtype=kind[1]
            )
            ids.append(file_id)
            tagged = f"<s> {words} </s>" if part == "train" else words
            lines.append(f"{tagged} ({name})")
        (folder / "etc" / f"an4_{part}.fileids").write_text("\n".join(ids) + "\n")
        transcription = folder / "etc" / f"an4_{part}.transcription"
        transcription.write_text("\n" + "\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("suffix", ["sph", "opus"])
def test_an4_layout(tmp_path, suffix):
    corpus = write_an4(tmp_path / "an4", suffix)
    options = ("--num_dev_speakers", "4", "--train_percents", "20")
    printed = succeed(run_data_sh("an4", tmp_path / "r", *options, AN4=corpus))
    data = tmp_path / "r" / "data"
    sets = {
        name: validate_in(tmp_path / "r", name) for name in ("train", "dev", "test")
    }
    assert sets["test"]["text"] == {"fzzz-an8-b": "NEW", "fzzz-an9-b": "WORD aaa 1"}
    dev = speakers(data, "dev")
    assert {speaker[0] for speaker in dev} == {"f", "m"} and len(dev) == 4
    assert not dev & speakers(data, "train")
    assert len(sets["train"]["text"]) + len(sets["dev"]["text"]) == len(TRAIN)
    part, rest = (
        validate_in(tmp_path / "r", name)["text"] for name in ("train_20", "rest_20")
    )
    assert len(part) == len(sets["train"]["text"]) * 20 // 100
    assert part | rest == sets["train"]["text"] and not part.keys() & rest.keys()
    assert number_of_overlaps(data, "local/lm_train.txt", ("dev", "test")) == 0
    assert "held-out ones removed" in printed


def test_an4_says_what_is_wrong(tmp_path):
    corpus = write_an4(tmp_path / "an4", "sph")

    def run():
        return run_data_sh("an4", tmp_path / "r", AN4=corpus)

    succeed(run())
    (corpus / "wav" / "an4_clstk" / "faaa" / "an1-faaa-b.sph").unlink()
    assert "'an4_clstk/faaa/an1-faaa-b' has no audio file" in fail(run())
    (corpus / "etc" / "an4_train.transcription").write_text("YES an1-faaa-b\n")
    assert "an4_train.transcription:1: 'WORDS (file)' was wanted" in fail(run())
    (corpus / "etc" / "an4_train.transcription").write_text("<s>  </s> (an1-faaa-b)\n")
    assert ":1: 'an1-faaa-b' has an empty text" in fail(run())
    nowhere = run_data_sh("an4", tmp_path / "r", AN4=tmp_path)
    assert "etc/an4_train.fileids was wanted" in fail(nowhere)


@pytest.fixture
def archive(tmp_path):
    corpus = write_an4(tmp_path / "downloads" / "an4", "sph")
    path = tmp_path / "source" / "downloads.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as out:
        out.add(corpus, "downloads/an4")
    return path


def test_mini_an4_from_an_archive_its_folder_or_a_wheel(archive, tmp_path):
    wheel = tmp_path / "espnet-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as out:
        out.write(archive, "egs3/mini_an4/esp2_asr/downloads.tar.gz")
    found = []
    for name, source in (("a", archive), ("b", archive.parent), ("c", wheel)):
        succeed(run_data_sh("mini_an4", tmp_path / name, MINI_AN4=source))
        data = tmp_path / name / "data"
        names = ("train_nodev", "train_dev", "test")
        sets = [validate_in(tmp_path / name, part)["text"] for part in names]
        found.append((sets, (data / "local" / "lm_train.txt").read_text()))
    assert found[0] == found[1] == found[2]
    (train, dev, test), _ = found[0]
    assert list(dev) == [min([*train, *dev])] and len(train) == len(TRAIN) - 1
    assert len(test) == 2


def test_mini_an4_in_an_espnet_checkout_around_the_recipe(archive, tmp_path):
    recipe = tmp_path / "espnet" / "egs2" / "mini_an4" / "asr_kd1"
    asr1 = recipe.parent / "asr1"
    asr1.mkdir(parents=True)
    (asr1 / "downloads.tar.gz").symlink_to(archive)
    succeed(run_data_sh("mini_an4", recipe))
    assert len(validate_in(recipe, "test")["text"]) == 2


def test_mini_an4_says_what_is_wrong(tmp_path):
    wheel = tmp_path / "espnet-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as out:
        out.writestr("espnet/__init__.py", "")
    broken = tmp_path / "downloads.tar.gz"
    with tarfile.open(broken, "w:gz") as out:
        out.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    for source, message in (
        ("/nowhere", "MINI_AN4=/nowhere: downloads.tar.gz, its folder or a wheel"),
        (wheel, "holds no egs3/mini_an4/esp2_asr/downloads.tar.gz"),
        (broken, "cannot be unpacked"),
    ):
        run = run_data_sh("mini_an4", tmp_path / "r", MINI_AN4=source)
        assert message in fail(run)


@pytest.mark.parametrize(
    "corpus",
    [
        "mini_librispeech",
        "an4",
        "mini_an4",
        "aishell",
        "librispeech_100",
        "librispeech",
    ],
)
def test_help_needs_no_corpus(corpus, tmp_path):
    assert succeed(run_data_sh(corpus, tmp_path, "--help")).startswith("Usage: local/")


@needs_corpora
@pytest.mark.parametrize(
    "corpus, sets",
    [
        ("mini_librispeech", {"train": 1347, "dev": 172, "test": 1330}),
        ("an4", {"train": 844, "dev": 104}),
        ("mini_an4", {"train_nodev": 4, "train_dev": 1, "test": 2}),
    ],
)
def test_the_corpora_as_they_lie(corpus, sets, tmp_path):
    succeed(run_data_sh(corpus, tmp_path, LMKD_DATA=Path(ROOT).resolve()))
    data = tmp_path / "data"
    for name, number in sets.items():
        assert len(validate_in(tmp_path, name)["text"]) == number
    names = list(sets) + (["unlabelled"] if corpus == "mini_librispeech" else ["test"])
    assert number_of_overlaps(data, "local/lm_train.txt", names[1:]) == 0
    if corpus == "mini_librispeech":
        train, dev, test, unlabelled = (speakers(data, name) for name in names)
        assert not train & dev and not (train | dev | unlabelled) & test
        assert not dev & unlabelled
        assert 0.08 < sets["dev"] / (sets["dev"] + sets["train"]) < 0.12


def test_only_known_addresses_are_in_the_recipes():
    hosts = ("https://www.openslr.org/", "http://www.speech.cs.cmu.edu/")
    for path in EGS2.glob("*/asr_kd1/local/*.*"):  # no __pycache__
        for line in path.read_text("utf-8").splitlines():
            if "://" in line:
                assert any(host in line for host in hosts), f"{path}: {line}"
