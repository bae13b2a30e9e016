"""The real corpora: small imitations of their layouts, and themselves where present."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recipes import EGS2, run_data_sh, validate_in

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.data.overlap import count_overlap

ROOT = os.environ.get("LMKD_DATA")
needs_corpora = pytest.mark.skipif(not ROOT, reason="LMKD_DATA names no corpora")


def succeed(run):
    assert run.returncode == 0, run.stderr
    return run.stdout


def fail(run):
    assert run.returncode == 1 and "Traceback" not in run.stderr
    return run.stderr


def speakers(data, name):
    return set(read_table(data / name / "utt2spk").values())


def number_of_overlaps(data, train, held_out):
    texts = [data / name / "text" for name in held_out]
    return sum(row[-1] for row in count_overlap([data / train], texts))


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
    printed = succeed(
        run_data_sh("an4", tmp_path / "r", "--num_dev_speakers", "4", AN4=corpus)
    )
    data = tmp_path / "r" / "data"
    sets = {
        name: validate_in(tmp_path / "r", name) for name in ("train", "dev", "test")
    }
    assert sets["test"]["text"] == {"fzzz-an8-b": "NEW", "fzzz-an9-b": "WORD aaa 1"}
    dev = speakers(data, "dev")
    assert {speaker[0] for speaker in dev} == {"f", "m"} and len(dev) == 4
    assert not dev & speakers(data, "train")
    assert len(sets["train"]["text"]) + len(sets["dev"]["text"]) == len(TRAIN)
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
