"""What was trained is saved without its pretrained model, and put together again."""

import contextlib
import json

import pytest
import torch
from tiny_llm import save_llm
from tiny_prompted import batch, build, save

from espnet_lmkd.bin import speech_prompt_adapter
from espnet_lmkd.errors import InputError


@pytest.fixture
def exp(tmp_path):
    model, args = build(
        tmp_path,
        lm_conf={"intermediate_size": 1000},  # so that it is most of the recogniser
        decoder_conf={"lora": {"r": 2}},
        ctc_weight=0.0,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return save(model, args, tmp_path / "exp")


def run(*words):
    speech_prompt_adapter.main([str(word) for word in words])


def outputs(folder, checkpoint):
    from espnet2.tasks.asr import ASRTask

    with contextlib.chdir(folder):  # its statistics and tokens lie there
        model, _ = ASRTask.build_model_from_file("config.yaml", checkpoint, "cpu")
    with torch.no_grad():
        return model.eval()(**batch())[0]


def test_round_trip(exp, tmp_path, capsys):
    out = tmp_path / "adapter"
    run("save", "--exp", exp, "--out", out)
    state = torch.load(out / "adapter.pth", weights_only=True)
    assert not any("base_layer" in name or "embed_tokens" in name for name in state)
    assert any("lora_A" in name for name in state)
    record = json.loads((out / "base.json").read_text())
    assert list(record["bases"]) == ["decoder"]
    assert record["bytes"] == sum(v.nbytes for v in state.values())
    assert record["bytes"] < 0.1 * record["bytes_with_bases"]
    assert record["bases"]["decoder"]["model"] == str(tmp_path / "lm")
    (tmp_path / "lm").rename(tmp_path / "moved")
    run("restore", "--adapter", out, "--base", f"decoder={tmp_path / 'moved'}")
    assert str(out / "model.pth") in capsys.readouterr().out
    (tmp_path / "tokens").rename(tmp_path / "nothing")
    (tmp_path / "moved").rename(tmp_path / "nothing" / "lm")
    assert outputs(out, "model.pth").equal(outputs(exp, "valid.acc.ave.pth"))


def test_averaged_weights_are_the_models_but_for_rounding(exp, tmp_path):
    path = exp / "valid.acc.ave.pth"
    state = torch.load(path, weights_only=True)
    averaged = {
        k: (v + v + v) / 3 if v.is_floating_point() else v for k, v in state.items()
    }
    torch.save(averaged, path)
    run("save", "--exp", exp, "--out", tmp_path / "adapter")
    state["decoder.lm.model.model.norm.weight"][3] += 0.01
    torch.save(state, path)
    with pytest.raises(SystemExit):
        run("save", "--exp", exp, "--out", tmp_path / "other")


def test_another_base_is_refused(exp, tmp_path, capsys):
    out = tmp_path / "adapter"
    run("save", "--exp", exp, "--out", out)
    save_llm("llama", tmp_path / "lm", seed=1, vocab_size=64)
    with pytest.raises(SystemExit):
        run("restore", "--adapter", out)
    message = capsys.readouterr().err
    assert "wants the decoder" in message and "SHA-256" in message
    assert not (out / "model.pth").exists()


def test_what_cannot_be_saved_is_said(tmp_path, capsys):
    from espnet_lmkd.asr.speech_prompt.adapter import save_adapter

    model, args = build(tmp_path, decoder_conf={"freeze": False})
    exp = save(model, args, tmp_path / "exp")
    with pytest.raises(InputError, match="nothing of its pretrained models is frozen"):
        save_adapter(exp, tmp_path / "out")
    with pytest.raises(InputError, match="config.yaml: no such file"):
        save_adapter(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(SystemExit):
        run("restore", "--adapter", tmp_path / "nowhere")
    assert "save an adapter first" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("restore", "--adapter", tmp_path, "--base", "lm=x")
    assert "decoder=MODEL or encoder=MODEL was wanted" in capsys.readouterr().err
