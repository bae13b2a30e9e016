"""The code in the card of an exported student runs as it stands."""

import contextlib
import io
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from tiny_experiment import make_speech, make_student

from espnet_lmkd.bin import export_student


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    return root


def code_of(exported):
    return (exported / "README.md").read_text().split("```")[1].removeprefix("python")


CARDS = {  # changes to a student, and the search that its card takes
    "ctc": ({}, dict(search="beam", beam_size=20)),
    "attention": (dict(decoder="transformer"), dict(search="beam", ctc_weight=0.5)),
    "cif": (dict(decoder="lmkd_cif"), dict(search="beam", ctc_weight=0.5)),
}


@pytest.mark.parametrize("name", CARDS)
def test_the_code_of_a_card_runs(name, world):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    changes, search = CARDS[name]
    exp = make_student(world, f"asr_card_{name}", **changes)
    export_student.main(["--exp", str(exp)])
    code = code_of(exp / "exported").replace("speech.wav", f"{world}/s1-a.wav")
    printed = io.StringIO()
    with contextlib.chdir(exp / "exported"), contextlib.redirect_stdout(printed):
        exec(code, {})
    files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
    recogniser = Recogniser(*files, SearchOptions(**search))
    wanted = recogniser(read_input(world / "s1-a.wav", 16_000)).text
    assert wanted and printed.getvalue().splitlines()[-1] == wanted


def test_the_code_of_a_card_runs_on_features(world):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    exp = make_student(world, "asr_features", input_size=12)
    export_student.main(["--exp", str(exp)])
    features = np.random.default_rng(0).normal(0, 1, (60, 12)).astype(np.float16)
    np.save(exp / "exported" / "features.npy", features)  # as dump_features does
    printed = io.StringIO()
    with contextlib.chdir(exp / "exported"), contextlib.redirect_stdout(printed):
        exec(code_of(exp / "exported"), {})
    files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
    recogniser = Recogniser(*files, SearchOptions("beam", beam_size=20))
    wanted = recogniser(read_input(exp / "exported" / "features.npy", 16_000)).text
    assert wanted and printed.getvalue().splitlines()[-1] == wanted


FROM_PRETRAINED = """
import sys
{first}
import soundfile
from espnet2.bin.asr_inference import Speech2Text
from espnet_model_zoo.downloader import ModelDownloader

ModelDownloader.__init__.__defaults__ = (sys.argv[3],)  # its cache
speech2text = Speech2Text.from_pretrained(sys.argv[2], beam_size=10)
print("FOUND", speech2text(soundfile.read(sys.argv[1], dtype="float32")[0])[0][0])
"""


def test_a_student_with_parts_of_this_pack_says_what_to_do(world, tmp_path):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    exp = make_student(world, "asr_cif", decoder="lmkd_cif")
    export_student.main(["--exp", str(exp), "--zip"])
    card = (exp / "exported" / "README.md").read_text()
    assert "parts of espnet_lmkd" in card and "decoder: lmkd_cif" in card
    assert "--no-deps <checkout>" in card and "on no package index" in card
    config = yaml.safe_load((exp / "exported" / "config.yaml").read_text())
    assert config["model"] == "lmkd" and "distillers" not in config["model_conf"]

    (first,) = re.findall(r"from_pretrained`.*?,\nafter `(.*?)`", card)
    code = FROM_PRETRAINED.format(first=first)
    ran = subprocess.run(
        [sys.executable, "-c", code, world / "s1-a.wav"]
        + [exp / "exported" / "student.zip", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [row for row in ran.stdout.split("\n") if row[:5] == "FOUND"] or [ran]
    files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
    recogniser = Recogniser(*files, SearchOptions("beam", beam_size=10, ctc_weight=0.5))
    wanted = recogniser(read_input(world / "s1-a.wav", 16_000)).text
    assert wanted and line.removeprefix("FOUND ") == wanted


def test_a_baseline_with_parts_of_this_pack_needs_it_too(world):
    """Trained as ESPnet's own model, which does not register these parts."""
    exp = make_student(world, "asr_pooled")
    config = yaml.safe_load((exp / "config.yaml").read_text())
    config.update(encoder="lmkd_pooled_conformer", model="espnet")
    config["encoder_conf"].update(pool_layers=[1], rel_pos_type="latest")
    config["model_conf"] = {"ctc_weight": 1.0}
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    export_student.main(["--exp", str(exp)])
    config = yaml.safe_load((exp / "exported" / "config.yaml").read_text())
    card = (exp / "exported" / "README.md").read_text()
    assert config["model"] == "lmkd"
    assert "encoder: lmkd_pooled_conformer" in card and "does not need" not in card
    code = code_of(exp / "exported").replace("speech.wav", f"{world}/s1-a.wav")
    printed = io.StringIO()
    with contextlib.chdir(exp / "exported"), contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().strip()


def test_stock_espnet_decodes_a_transducer_as_its_card_says(world, monkeypatch):
    """The code of the card, in the exported folder, with no loss installed."""
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    exp = make_student(world, "asr_transducer", decoder="transducer")
    monkeypatch.delitem(sys.modules, "warprnnt_pytorch")  # as in a new process
    export_student.main(["--exp", str(exp)])
    exported = exp / "exported"
    files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
    search = SearchOptions("transducer", beam_size=5)
    wanted = Recogniser(*files, search)(read_input(world / "s1-a.wav", 16_000))
    assert wanted.tokens

    code = code_of(exported).replace(
        '"speech.wav"', f'"{world}/s1-a.wav", dtype="float32"'
    )
    code += 'print("FOUND", float(result[0][3].score), *result[0][2])'
    ran = subprocess.run(
        [sys.executable, "-c", 'import sys; sys.modules["espnet_lmkd"] = None' + code],
        cwd=exported,
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [row for row in ran.stdout.split("\n") if row[:5] == "FOUND"] or [ran]
    score, *token_ids = line[6:].split()
    assert [int(token) for token in token_ids] == wanted.token_ids
    assert float(score) == wanted.score
    config = yaml.safe_load((exported / "config.yaml").read_text())
    assert config["model"] == "espnet"
    assert not {"distillers", "live_teacher"} & config["model_conf"].keys()
