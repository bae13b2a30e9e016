import json

import pytest
from transformers import BertConfig, BertModel

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.pretrained import load_masked_lm


@pytest.mark.parametrize("source", ["/no/such/folder", "./no", "org/no-such-model"])
def test_missing_teacher(source):
    with pytest.raises(InputError, match=f"teacher .?{source}"):
        load_masked_lm(source)


def test_missing_folder_beside_others(tmp_path, monkeypatch):
    (tmp_path / "exp").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="teacher exp/teacher_x: no such folder"):
        load_masked_lm("exp/teacher_x")


def test_a_model_without_lm_head(teacher_folder):
    config = BertConfig.from_pretrained(teacher_folder)
    BertModel(config).save_pretrained(teacher_folder)
    with pytest.raises(InputError, match="has no trained LM head"):
        load_masked_lm(teacher_folder)
    load_masked_lm(teacher_folder, needs_head=False)


def test_never_runs_code_of_the_model(teacher_folder):
    config = json.loads((teacher_folder / "config.json").read_text())
    config["auto_map"] = {
        name: "evil.Evil" for name in ("AutoConfig", "AutoModelForMaskedLM")
    }
    config["model_type"] = "evil"
    (teacher_folder / "config.json").write_text(json.dumps(config))
    marker = teacher_folder / "executed"
    (teacher_folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(InputError):
        load_masked_lm(teacher_folder)
    assert not marker.exists()
