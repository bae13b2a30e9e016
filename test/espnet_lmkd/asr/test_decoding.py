"""Test sets are decoded, resumed and tuned; what does not fit is refused."""

import dataclasses
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_experiment import LENGTHS, make_lm, make_speech, make_student

from espnet_lmkd.bin import asr_inference, tune_decode
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import read_hypotheses


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with speech, a student, one with InterCTC, and an LM."""
    from espnet_lmkd.asr import decoding  # noqa: F401  slow import

    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    student = make_student(root, "asr_a")
    make_student(root, "asr_inter", {"interctc_layer_idx": [1]}, interctc_weight=0.3)
    config = yaml.safe_load((student / "config.yaml").read_text())
    make_lm(root, config["token_list"])
    return root


def files(world, name="asr_a"):
    """Return the arguments of `Recogniser` but the options."""
    return dict(
        train_config=world / name / "config.yaml",
        model_file=world / name / "valid.cer_ctc.ave.pth",
        lm_train_config=world / "lm" / "config.yaml",
        lm_file=world / "lm" / "valid.loss.ave.pth",
    )


def options(**changes):
    from espnet_lmkd.asr.decoding import SearchOptions

    return dataclasses.replace(SearchOptions(), **changes)


def recogniser(world, name="asr_a", **changes):
    from espnet_lmkd.asr.decoding import Recogniser

    return Recogniser(options=options(**changes), **files(world, name))


def arguments(world, output_dir, *more):
    given = files(world)
    return [
        *("--asr_train_config", str(given["train_config"])),
        *("--asr_model_file", str(given["model_file"])),
        *("--data_dirs", str(world / "dump" / "test")),
        *("--output_dir", str(output_dir), *more),
    ]


def test_command_decodes_and_resumes(world, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        asr_inference.main(arguments(world, tmp_path))
    assert "2 utterances are too short" in caplog.text
    assert "['s2-short', 's2-tiny']" in caplog.text
    out = tmp_path / "test"
    lines = (out / "text").read_text().splitlines()
    assert [line.split(" ")[0] for line in lines] == sorted(LENGTHS)
    assert lines[-2:] == ["s2-short ", "s2-tiny "] and len(lines[0].split()) > 1
    token_ids = (out / "token_int").read_text().split("\n")[0].split()[1:]
    assert len((out / "token").read_text().split("\n")[0].split()[1:]) == len(token_ids)
    rtf = json.loads((out / "rtf.json").read_text())
    assert rtf["seconds_audio"] == pytest.approx(sum(LENGTHS.values()) / 16e3, abs=1e-3)
    assert rtf["rtf"] > 0 and rtf["search"] == "ctc_greedy" and rtf["threads"] >= 1

    (out / "text").write_text("kept")
    asr_inference.main(arguments(world, tmp_path))
    assert (out / "text").read_text() == "kept"
    path = world / "s1-a.wav"  # the same name, other audio: nothing old is kept
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    asr_inference.main(arguments(world, tmp_path))
    assert (out / "text").read_text().splitlines() == lines
    asr_inference.main(arguments(world, tmp_path, "--num_utts", "2"))
    assert [line.split()[0] for line in (out / "score").open()] == ["s1-a", "s2-c"]


def test_all_hypotheses_of_a_beam_are_written(world, tmp_path):
    from espnet_lmkd.asr.decode_set import decode_set

    beam = recogniser(world, search="beam", beam_size=3, nbest=2, lm_weight=0.5)
    decode_set(beam, world / "dump" / "test", tmp_path)
    lines = (tmp_path / "nbest").read_text().splitlines()
    lists = dict(line.split(" ", 1) for line in lines)
    texts = read_hypotheses(tmp_path / "text")
    for utterance, hypotheses in lists.items():
        hypotheses = json.loads(hypotheses)
        scores = [score for _, _, score in hypotheses]
        assert scores == sorted(scores, reverse=True) and len(scores) in (0, 2)
        assert texts[utterance] == (hypotheses[0][0] if hypotheses else "")
    assert json.loads(lists["s2-tiny"]) == [] and json.loads(lists["s1-a"])
    for wrong in (dict(nbest=2), dict(search="beam", beam_size=3, nbest=4)):
        with pytest.raises(InputError, match="nbest: 1 .. [13] "):
            recogniser(world, **wrong)


def test_parameters_are_those_of_the_deployed_model(world):
    greedy = recogniser(world)
    state = torch.load(files(world)["model_file"], weights_only=True)
    assert any(name.startswith("distillers.") for name in state)
    kept = [parameter.numel() for name, parameter in greedy.model.named_parameters()]
    distilled = [
        parameter.numel() for parameter in greedy.model.distillers.parameters()
    ]
    assert greedy.num_parameters == sum(kept) - sum(distilled)
    fused = recogniser(world, search="beam", lm_weight=0.5)
    assert fused.num_parameters > greedy.num_parameters


@pytest.mark.parametrize("name", ["asr_a", "asr_inter"])
def test_beam_is_espnets_own(world, name):
    from espnet2.bin.asr_inference import Speech2Text

    from espnet_lmkd.asr.inputs import read_input

    ours = recogniser(world, name, search="beam", beam_size=3, lm_weight=0.5)
    given = {key: str(path) for key, path in files(world, name).items()}
    stock = Speech2Text(
        asr_train_config=given["train_config"],
        asr_model_file=given["model_file"],
        lm_train_config=given["lm_train_config"],
        lm_file=given["lm_file"],
        beam_size=3,
        ctc_weight=1.0,
        lm_weight=0.5,
    )
    speech = read_input(world / "s1-a.wav", 16_000)
    result = stock(speech)
    expected = (result[0] if name == "asr_inter" else result)[0]
    found = ours(speech)
    assert found[:3] == tuple(expected[:3]) and len(found.tokens) > 1
    assert found.score == float(expected[3].score)


def test_tuned_weights_are_those_of_a_fresh_search(
    world, tmp_path, capsys, monkeypatch
):
    from espnet_lmkd.asr.decoding import SearchOptions
    from espnet_lmkd.asr.inputs import read_input
    from espnet_lmkd.asr.tuning import set_weights

    fresh = options(search="beam", beam_size=3, lm_weight=0.7, penalty=0.5)
    speech = read_input(world / "s1-a.wav", 16_000)
    expected = recogniser(world, **dataclasses.asdict(fresh))(speech)
    tuned = recogniser(world, search="beam", beam_size=3, lm_weight=1.0, penalty=1.0)
    assert tuned(speech) != expected
    set_weights(tuned, fresh)
    assert tuned(speech) == expected

    config = tmp_path / "beam.yaml"
    config.write_text("search: beam\n")
    given = files(world)
    command = (
        ["--asr_train_config", str(given["train_config"])]
        + ["--asr_model_file", str(given["model_file"]), "--config", str(config)]
        + ["--lm_train_config", str(given["lm_train_config"])]
        + ["--lm_file", str(given["lm_file"]), "--num_utts", "2"]
        + ["--lm_weight", "0.0", "0.7", "--penalty", "0.0", "--beam_size", "2", "3"]
        + ["--data_dir", str(world / "dump" / "test"), "--output_dir", str(tmp_path)]
    )
    tune_decode.main(command)
    table = capsys.readouterr().out.strip().split("\n")
    assert len(table) == 2 + 4
    best = SearchOptions.from_yaml(tmp_path / "decode_tuned.yaml")
    first = table[2].strip("|").split("|")
    assert first[:2] == [str(best.beam_size), str(best.lm_weight)]
    rates = [float(line.strip("|").split("|")[3]) for line in table[2:]]
    assert rates == sorted(rates)

    # Again: nothing is decoded, the same table is printed.
    monkeypatch.setattr("espnet_lmkd.asr.tuning.tune", None)
    tune_decode.main(command)
    assert capsys.readouterr().out.strip().split("\n") == table


def test_checkpoint_of_another_model_is_refused(world, tmp_path):
    from espnet_lmkd.asr.decoding import Recogniser

    given = files(world)
    state = torch.load(given["model_file"], weights_only=True)
    wrapped = {f"student.{key}": value for key, value in state.items()}
    given["model_file"] = tmp_path / "wrapped.pth"
    torch.save(wrapped, given["model_file"])
    with pytest.raises(InputError, match="not a checkpoint of this configuration"):
        Recogniser(options=options(), **given)


def test_what_does_not_fit_is_refused(world, tmp_path):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    with pytest.raises(InputError, match="attention decoder"):
        recogniser(world, search="beam", ctc_weight=0.3)
    with pytest.raises(InputError, match="--lm_train_config"):
        Recogniser(
            *(files(world)[name] for name in ("train_config", "model_file")),
            options(search="beam", lm_weight=0.3),
        )
    with pytest.raises(InputError, match="nothing.pth: no such file"):
        given = dict(files(world), model_file="nothing.pth")
        Recogniser(options=options(), **given)
    config = yaml.safe_load((world / "lm" / "config.yaml").read_text())
    config["token_list"][2:4] = reversed(config["token_list"][2:4])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="another token list"):
        given = dict(files(world), lm_train_config=tmp_path / "config.yaml")
        Recogniser(options=options(search="beam", lm_weight=0.3), **given)
    with pytest.raises(InputError, match="mono at 8000 Hz"):
        read_input(world / "s1-a.wav", 8000)
    for content, message in (
        ("beam: 3", "unknown option .'beam'"),
        ("search: viterbi", "unknown search 'viterbi'"),
    ):
        (tmp_path / "decode.yaml").write_text(content)
        with pytest.raises(InputError, match=message):
            SearchOptions.from_yaml(tmp_path / "decode.yaml")


def test_what_the_model_was_not_trained_on_is_refused(world, tmp_path):
    from espnet_lmkd.asr.decode_set import decode_set
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions

    of_speech = recogniser(world)
    np.save(tmp_path / "a.npy", np.zeros((9, 6), np.float16))
    (tmp_path / "feats.scp").write_text(f"a {tmp_path}/a.npy\n")
    (tmp_path / "utt2dur").write_text("a 0.9\n")
    with pytest.raises(InputError, match="'a': .* on speech, but features of 6 values"):
        decode_set(of_speech, tmp_path, tmp_path / "out")
    exp = make_student(tmp_path, "asr_feats", input_size=5, distillers=[])
    files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
    of_features = Recogniser(*files, SearchOptions())
    with pytest.raises(InputError, match="'s1-a': .* features of 5 values, but speech"):
        decode_set(of_features, world / "dump" / "test", tmp_path / "out")
    with pytest.raises(InputError, match="features of 5 values, but features of 6"):
        of_features(np.zeros((9, 6), np.float32))


def test_configurations_of_the_pack_are_read():
    from espnet_lmkd.asr.decoding import SearchOptions

    configs = sorted((Path(__file__).parents[3] / "conf").glob("decode_*.yaml"))
    searches = {path.stem: SearchOptions.from_yaml(path).search for path in configs}
    assert searches["decode_ctc_greedy"] == "ctc_greedy"
    assert searches["decode_ctc_beam_lm"] == searches["decode_att"] == "beam"


class _Malicious:
    def __reduce__(self):
        return (print, ("ran",))


def test_a_checkpoint_is_never_unpickled(world, tmp_path, capsys):
    given = files(world)
    path = tmp_path / "model.pth"
    torch.save({"weights": _Malicious()}, path)
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions

    with pytest.raises(InputError, match="model.pth is no checkpoint of tensors"):
        Recogniser(given["train_config"], path, SearchOptions())
    assert "ran" not in capsys.readouterr().out
