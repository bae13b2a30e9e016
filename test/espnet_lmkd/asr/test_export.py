"""An exported student is judged by stock ESPnet where this pack cannot be imported."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import PurePosixPath

import pytest
import torch
import yaml
from tiny_experiment import make_speech, make_student

from espnet_lmkd.bin import export_student
from espnet_lmkd.errors import InputError

STOCK = """
import json, sys
sys.modules["espnet_lmkd"] = None  # an import of it fails
import soundfile, torch
from espnet2.bin.asr_inference import Speech2Text
from espnet_model_zoo.downloader import ModelDownloader

ModelDownloader.__init__.__defaults__ = (sys.argv[3],)  # its cache
speech, _ = soundfile.read(sys.argv[1], dtype="float32")
found = {}
for path, ctc_weight in (("inter.zip", 1.0), ("decoder.zip", 0.4)):
    search = dict(beam_size=3, ctc_weight=ctc_weight)
    stock = Speech2Text.from_pretrained(sys.argv[2] + "/" + path, **search)
    results = stock(speech)
    if isinstance(results, tuple):
        results = results[0]
    text, token, token_int, best = results[0]
    batch = torch.tensor(speech)[None], torch.tensor([len(speech)])
    with torch.no_grad():
        encoder_out = stock.asr_model.encode(*batch)[0]
        if isinstance(encoder_out, tuple):
            encoder_out = encoder_out[0]
        greedy = stock.asr_model.ctc.log_softmax(encoder_out)[0].max(-1).values.sum()
    found[path] = [text, token, token_int, float(best.score), float(greedy)]
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    conf = {"interctc_layer_idx": [1], "interctc_use_conditioning": True}
    make_student(root, "asr_inter", conf, interctc_weight=0.3)
    make_student(root, "asr_decoder", decoder="lmkd_bert_kd")
    return root


def test_stock_espnet_decodes_alike_without_this_pack(world, tmp_path):
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input

    speech = read_input(world / "s1-a.wav", 16_000)
    expected = {}
    for name, weight in (("inter", 1.0), ("decoder", 0.4)):
        exp = world / f"asr_{name}"
        export_student.main(["--exp", str(exp), "--zip"])
        exported = exp / "exported"
        (exported / "student.zip").rename(world / f"{name}.zip")
        files = exp / "config.yaml", exp / "valid.cer_ctc.ave.pth"
        beam = SearchOptions("beam", beam_size=3, ctc_weight=weight)
        greedy = Recogniser(*files, SearchOptions())(speech).score
        found = Recogniser(*files, beam)(speech)
        assert len(found.tokens) > 1
        expected[f"{name}.zip"] = [*found[:4], greedy]

    ran = subprocess.run(
        [sys.executable, "-c", STOCK, world / "s1-a.wav", world, tmp_path],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [row for row in ran.stdout.split("\n") if row[:5] == "FOUND"] or [ran]
    assert json.loads(line[6:]) == expected


def test_exported_folder_holds_only_what_stock_espnet_knows(world):
    exp = world / "asr_inter"
    export_student.main(["--exp", str(exp)])
    exported = exp / "exported"
    names = {path.name for path in exported.iterdir()}
    assert names == {
        *("config.yaml", "model.pth", "bpe.model", "feats_stats.npz", "README.md"),
        "meta.yaml",
    }
    config = yaml.safe_load((exported / "config.yaml").read_text())
    assert config["model"] == "espnet" and "distillers" not in config["model_conf"]
    assert config["model_conf"]["interctc_weight"] == 0.3
    assert config["bpemodel"] == "bpe.model"
    assert config["normalize_conf"]["stats_file"] == "feats_stats.npz"
    assert len(config["train_data_path_and_name_and_type"]) == 1
    assert "lmkd" not in (exported / "config.yaml").read_text()
    state = torch.load(exported / "model.pth", weights_only=True)
    assert not [name for name in state if name.startswith("distillers")]
    original = torch.load(exp / "valid.cer_ctc.ave.pth", weights_only=True)
    assert all(torch.equal(original[name], value) for name, value in state.items())


def test_packed_paths_are_relative(world):
    export_student.main(["--exp", str(world / "asr_inter"), "--zip"])
    with zipfile.ZipFile(world / "asr_inter" / "exported" / "student.zip") as packed:
        meta = yaml.safe_load(packed.read("meta.yaml"))
        names = set(packed.namelist())
    assert {"bpe.model", "feats_stats.npz", "README.md"} <= names
    for name in map(PurePosixPath, names):
        assert not name.is_absolute() and ".." not in name.parts
    assert meta["files"] == {"asr_model_file": "model.pth"}
    assert meta["yaml_files"] == {"asr_train_config": "config.yaml"}
    # The folder's own, which is written without packing, is ESPnet's but for the time.
    path = world / "asr_inter" / "exported" / "meta.yaml"
    ours = yaml.safe_load(path.read_text())
    assert 0 <= ours.pop("timestamp") - meta.pop("timestamp") < 600
    assert ours == meta


def test_nothing_is_packed_without_zip(world, monkeypatch):
    monkeypatch.setattr("espnet_lmkd.asr.export.pack", None)
    export_student.main(["--exp", str(world / "asr_inter")])
    exported = world / "asr_inter" / "exported"
    assert (exported / "meta.yaml").is_file()
    assert not (exported / "student.zip").exists()


def test_any_part_of_this_pack_decides():
    from espnet_lmkd.asr.export import exported_config

    for part in ({"encoder": "lmkd_speech"}, {"decoder": "lmkd_cif"}):
        config = {"model": "espnet", "model_conf": {}, **part}
        assert exported_config(config)["model"] == "lmkd"
    config["decoder"] = "transformer"
    assert exported_config(config)["model"] == "espnet"


def test_espnets_downloader_knows_the_files_of_an_uploaded_folder(world, tmp_path):
    from espnet_model_zoo.downloader import ModelDownloader

    export_student.main(["--exp", str(world / "asr_inter")])
    shutil.copytree(world / "asr_inter" / "exported", tmp_path / "snapshot")
    files = ModelDownloader._unpack_cache_dir_for_huggingfase(tmp_path / "snapshot")
    assert files.keys() == {"asr_train_config", "asr_model_file"}
    with open(files["asr_train_config"]) as stream:
        config = yaml.safe_load(stream)
    assert config["bpemodel"] == str(tmp_path / "snapshot" / "bpe.model")


def test_lost_weights_are_refused(world, tmp_path):
    from espnet_lmkd.asr.export import export_student as export

    exp = world / "asr_inter"
    state = torch.load(exp / "valid.cer_ctc.ave.pth", weights_only=True)
    state.pop("ctc.ctc_lo.bias")
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(InputError, match="ctc.ctc_lo.bias"):
        export(exp, tmp_path / "broken.pth")


def test_which_checkpoint_must_be_clear(tmp_path):
    from espnet_lmkd.asr.export import default_model_file

    with pytest.raises(InputError, match="found none; give --model_file"):
        default_model_file(tmp_path)
    (tmp_path / "valid.cer_ctc.ave.pth").touch()
    assert default_model_file(tmp_path).name == "valid.cer_ctc.ave.pth"
    (tmp_path / "valid.loss.ave.pth").touch()
    with pytest.raises(InputError, match="give --model_file"):
        default_model_file(tmp_path)
