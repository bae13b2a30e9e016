"""`search: speech_prompt` of the decoding command: batches, limits, wrong options."""

import contextlib
import io
import json
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from test_pretrained_speech import save as save_speech
from tiny_prompted import SIZE, build, save

from espnet_lmkd.bin import asr_inference

LENGTHS = {"a": 30, "b": 4, "c": 17, "d": 29, "e": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    model, args = build(root)
    save(model, args, root / "exp")
    data = root / "data"
    data.mkdir()
    generator = np.random.default_rng(0)
    for name, length in LENGTHS.items():
        features = generator.normal(size=(length, SIZE)).astype(np.float16)
        np.save(data / f"{name}.npy", features)
    tables = {
        "feats.scp": {name: data / f"{name}.npy" for name in LENGTHS},
        "utt2dur": {name: n / 12.5 for name, n in LENGTHS.items()},
    }
    for file, table in tables.items():
        (data / file).write_text("".join(f"{k} {v}\n" for k, v in table.items()))
    return root


def decode(world, out, **options):
    config = world / f"{out}.yaml"
    config.write_text(yaml.safe_dump({"search": "speech_prompt", **options}))
    exp = world / "exp"
    asr_inference.main(
        [
            *("--config", str(config)),
            *("--asr_train_config", str(exp / "config.yaml")),
            *("--asr_model_file", str(exp / "valid.acc.ave.pth")),
            *("--data_dirs", str(world / "data")),
            *("--output_dir", str(exp / out)),
        ]
    )
    return exp / out / "data"


def table(folder, name):
    lines = (folder / name).read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_an_llms_new_lines_stay_on_the_line(world, monkeypatch):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions

    files = str(world / "exp" / "config.yaml"), str(world / "exp" / "valid.acc.ave.pth")
    recogniser = Recogniser(*files, SearchOptions(search="speech_prompt"))
    monkeypatch.setattr(
        recogniser.speech2text.tokenizer, "tokens2text", lambda tokens: " a\nb\r\x0bc"
    )
    assert recogniser._hypothesis([5], 0.0).text == "a b c"


@pytest.mark.parametrize("beam_size", [1, 3])
def test_batches_change_nothing(world, beam_size, caplog):
    limits = {"tokens_per_second": 3.0, "extra_tokens": 1}
    options = {"beam_size": beam_size, "limits": limits}
    with caplog.at_level(logging.WARNING):
        alone = decode(world, f"alone{beam_size}", batch_seconds=0.0, **options)
    together = decode(world, f"together{beam_size}", batch_seconds=100.0, **options)
    ids = table(alone, "token_int")
    assert table(together, "token_int") == ids and len(set(ids.values())) > 2
    assert table(together, "text") == table(alone, "text")
    reached = table(alone, "limits")
    assert reached == table(together, "limits") and "length" in reached.values()
    assert f"limits: {len(reached)} hypotheses ended by length" in caplog.text
    for name, reason in reached.items():
        if reason == "length":
            n = int(np.ceil(3.0 * LENGTHS[name] / 12.5)) + 1
            assert len(ids[name].split()) == n
    report = json.loads((together / "rtf.json").read_text())
    assert report["seconds_audio"] == pytest.approx(sum(LENGTHS.values()) / 12.5)


def strange_speech():
    """Samples that nobody trains on, and some Mandarin where it is at hand."""
    generator = np.random.default_rng(0)
    speech = {
        "silence": np.zeros(32_000),
        "noise": generator.normal(0, 0.3, 32_000),
        "clipped": np.sign(np.sin(np.arange(32_000) / 9.0)),
        "tenth": generator.normal(0, 0.1, 1_600),
        "minute": np.sin(np.arange(960_000) ** 1.2 / 900.0),
        "nothing": np.zeros(100),
    }
    corpora = os.environ.get("LMKD_DATA", "nowhere")
    for path in sorted(Path(corpora).glob("aishell_sample/**/*.opus"))[:1]:
        speech["mandarin"] = soundfile.read(path)[0]
    return speech


@pytest.mark.parametrize("beam_size", [1, 2])
def test_strange_speech_ends(beam_size, tmp_path):
    save_speech("hubert", tmp_path / "hubert")
    model, args = build(tmp_path, hubert=tmp_path / "hubert", ctc_weight=0.0)
    save(model, args, tmp_path / "exp")
    (tmp_path / "data").mkdir()
    seconds = {}
    with (tmp_path / "data" / "wav.scp").open("w") as scp:
        for name, samples in sorted(strange_speech().items()):
            soundfile.write(tmp_path / f"{name}.wav", samples, 16_000)
            scp.write(f"{name} {tmp_path / name}.wav\n")
            seconds[name] = len(samples) / 16_000
    out = decode(tmp_path, "out", beam_size=beam_size)
    ids = {name: x.split() for name, x in table(out, "token_int").items()}
    assert ids.keys() == seconds.keys() and ids["nothing"] == []
    for name, tokens in ids.items():
        assert len(tokens) <= 4 * seconds[name] + 21
    assert set(table(out, "limits").values()) <= {"length", "repetition"}


def test_speech_beyond_the_positions_of_an_lm_loses_no_other(tmp_path):
    model, args = build(tmp_path, {"max_position_embeddings": 40}, ctc_weight=0.0)
    save(model, args, tmp_path / "exp")
    (tmp_path / "data").mkdir()
    lines = []
    for name, frames in {"a": 12, "b": 60, "c": 20}.items():
        np.save(tmp_path / f"{name}.npy", np.ones((frames, SIZE), dtype=np.float32))
        lines.append(f"{name} {tmp_path / name}.npy\n")
    (tmp_path / "data" / "feats.scp").write_text("".join(lines))
    (tmp_path / "data" / "utt2dur").write_text("a 1\nb 5\nc 2\n")
    out = decode(tmp_path, "out")
    ids = table(out, "token_int")
    assert ids["b"] == "" and ids["a"] and ids["c"]
    assert table(out, "limits")["b"] == "positions"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"limits": {"seconds": 3}}, r"unknown option \['seconds'\] of limits; .*'rep"),
        (
            {"search": "beam", "limits": {"repetitions": 3}},
            "search: speech_prompt only",
        ),
    ],
)
def test_wrong_options(world, options, message, capsys):
    with pytest.raises(SystemExit):
        decode(world, "wrong", **options)
    assert re.search(message, capsys.readouterr().err)


def test_other_decoders_are_refused(world, tmp_path, capsys):
    from espnet_lmkd.asr.task import ASRKDTask

    _, args = build(world)
    args.decoder, args.decoder_conf = "transformer", {"num_blocks": 1}
    save(ASRKDTask.build_model(args), args, tmp_path / "exp")
    (tmp_path / "data").symlink_to(world / "data")
    with pytest.raises(SystemExit):
        decode(tmp_path, "out")
    assert "needs decoder: lmkd_speech_prompt" in capsys.readouterr().err


def test_the_code_of_an_exported_recognisers_card_runs(world):
    """Where the language model that it was made from is gone."""
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.export import export_student

    files = world / "exp" / "config.yaml", world / "exp" / "valid.acc.ave.pth"
    recogniser = Recogniser(*files, SearchOptions("speech_prompt", beam_size=1))
    wanted = recogniser(np.load(world / "data/a.npy").astype(np.float32)).text
    assert table(decode(world, "card", beam_size=1), "text")["a"] == wanted
    exported = export_student(world / "exp")
    (world / "lm").rename(world / "gone")
    code = (exported / "README.md").read_text().split("```")[1].removeprefix("python")
    code = code.replace("features.npy", f"{world}/data/a.npy")
    printed = io.StringIO()
    with contextlib.chdir(exported), contextlib.redirect_stdout(printed):
        exec(code, {})
    assert wanted and printed.getvalue().splitlines()[-1] == wanted.strip()
    assert "decoder: lmkd_speech_prompt" in (exported / "README.md").read_text()
