"""The command from a student and a data directory to a CTM file."""

import logging
import shutil

import pytest
import torch
from matplotlib import pyplot
from tiny_experiment import LENGTHS, make_speech, make_student

from espnet_lmkd.bin import timestamps


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with speech and a CIF student, all frames weighing the same."""
    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    path = make_student(root, "cif", decoder="lmkd_cif", distillers=[])
    path /= "valid.cer_ctc.ave.pth"
    state = torch.load(path)
    state["decoder.integrator.linear.weight"].zero_()
    torch.save(state, path)
    return root


@pytest.fixture
def data(world, tmp_path):
    """Return a copy of the data directory that a test may change."""
    return shutil.copytree(world / "dump" / "test", tmp_path / "data")


def write_ctm(world, data, *more):
    """Run the command and return the fields of the CTM's lines."""
    out = data.parent / "out"
    timestamps.main(
        ["--asr_train_config", str(world / "cif" / "config.yaml")]
        + ["--asr_model_file", str(world / "cif" / "valid.cer_ctc.ave.pth")]
        + ["--data_dir", str(data), "--out", str(out), *more]
    )
    return [line.split() for line in (out / "ctm").read_text().splitlines()]


@pytest.mark.parametrize("method", ["cif", "ctc"])
def test_short_utterances_are_skipped_and_named(world, data, method, caplog):
    with caplog.at_level(logging.WARNING):
        lines = write_ctm(world, data, "--method", method)
    assert {line[0] for line in lines} == {"s1-a", "s1-b", "s2-c"}
    assert "2 utterances are too short" in caplog.text
    assert "['s2-short', 's2-tiny']" in caplog.text


def test_so_are_those_too_short_for_their_text(world, data, caplog):
    text = (data / "text").read_text()
    (data / "text").write_text(text.replace("s1-a", "s1-a" + 30 * " see the mat"))
    with caplog.at_level(logging.WARNING):
        lines = write_ctm(world, data, "--method", "ctc")
    assert {line[0] for line in lines} == {"s1-b", "s2-c"}
    assert "['s1-a', 's2-short', 's2-tiny']" in caplog.text


def test_an_utterance_without_a_text_is_named(world, data, capsys, tmp_path):
    lines = (data / "text").read_text().splitlines(keepends=True)
    (data / "text").write_text("".join(lines[:1] + lines[2:]))
    with pytest.raises(SystemExit):
        write_ctm(world, data)
    said = capsys.readouterr().err
    assert "text: no line of utterance 's1-b' (1 such); complete it or give" in said
    (tmp_path / "token_int").write_text("s1-a 5 6\n")
    with pytest.raises(SystemExit):
        write_ctm(world, data, "--decode_dir", str(tmp_path))
    said = capsys.readouterr().err
    assert f"'s1-b' ({len(LENGTHS) - 1} such); decode the whole set" in said


def test_unknown_letters_are_those_of_the_text(world, data):
    text = (data / "text").read_text()
    (data / "text").write_text(text.replace("the cat", "the qüx"))
    lines = write_ctm(world, data)
    words = [word for utterance, *_, word in lines if utterance == "s1-a"]
    assert words == "the qüx sat on the mat".split()


def test_words_and_pictures_of_known_times(world, data):
    """All frames weigh the same: ten pieces and eos take an eleventh of s1-b each."""
    lines = write_ctm(world, data, "--num_pictures", "2")
    assert {(utterance, channel) for utterance, channel, *_ in lines} == {
        (utterance, "1") for utterance in ("s1-a", "s1-b", "s2-c")
    }
    found = {
        word: (float(start), float(duration))
        for utterance, _, start, duration, word in lines
        if utterance == "s1-b"
    }
    # Of "▁ a ▁ d o g ▁ r a n", the marks belong to no word.
    for word, (first, last) in dict(a=(1, 2), dog=(3, 6), ran=(7, 10)).items():
        wanted = first / 11, (last - first) / 11
        assert found.pop(word) == pytest.approx(wanted, abs=2e-3)
    assert not found
    pictures = sorted((data.parent / "out").glob("*.png"))
    assert [path.stem for path in pictures] == ["s1-a", "s1-b"]
    assert all(pyplot.imread(path).std() > 0.1 for path in pictures)


def test_times_of_a_hypothesis(world, data, tmp_path):
    """Token ids of a decoding, where an utterance may have none."""
    ids = {"s1-a": "2 5 4", "s1-b": "", "s2-c": "10 5", "s2-short": "", "s2-tiny": ""}
    lines = "".join(f"{utterance} {text}\n" for utterance, text in ids.items())
    (tmp_path / "token_int").write_text(lines)
    lines = write_ctm(world, data, "--decode_dir", str(tmp_path))
    assert [(line[0], line[4]) for line in lines] == [("s1-a", "ah"), ("s2-c", "sa")]
    lines = write_ctm(world, data, "--decode_dir", str(tmp_path), "--unit", "token")
    assert [line[4] for line in lines] == ["▁", "a", "h", "▁s", "a"]
