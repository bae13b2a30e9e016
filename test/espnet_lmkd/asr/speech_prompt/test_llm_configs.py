"""The yamls of conf/llm build what they describe; tiny models stand for the hub."""

from pathlib import Path

import pytest
import yaml
from test_pretrained_speech import save
from tiny_llm import save_llm

from espnet_lmkd.asr.search import SearchOptions
from espnet_lmkd.asr.speech_prompt.generation import Limits
from espnet_lmkd.errors import InputError

CONF = Path(__file__).parents[4] / "conf"
PROMPTED = [
    path
    for path in sorted(CONF.glob("**/train_asr*.yaml"))
    if "decoder: lmkd_speech_prompt" in path.read_text()
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "!", "Ġ"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save_llm("llama", root / "lm")
    save("hubert", root / "hubert")
    (root / "tokens.txt").write_text("\n".join([*SPECIAL, *"abcd"]) + "\n")
    return root


@pytest.mark.parametrize("path", PROMPTED, ids=lambda p: p.stem)
def test_dry_run(path, models, tmp_path):
    from espnet_lmkd.asr.task import ASRKDTask

    command = ["--config", str(path), "--dry_run", "true", "--iterator_type", "none"]
    command += ["--token_list", str(models / "tokens.txt")]
    command += ["--decoder_conf", f"model={models / 'lm'}"]
    given = yaml.safe_load(path.read_text())
    if given["encoder"] == "lmkd_speech":
        command += ["--encoder_conf", f"model={models / 'hubert'}"]
    ASRKDTask.main(cmd=command + ["--output_dir", str(tmp_path)])
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["decoder_conf"]["config"]["lm"]["model_type"] == "llama"
    for name in ("sym_blank", "sym_sos", "sym_eos"):
        assert given["model_conf"][name] in SPECIAL


def test_a_transducer_teacher_on_a_pretrained_encoder(models, tmp_path):
    from espnet_lmkd.asr.task import ASRKDTask

    path = CONF / "large" / "train_asr_rnnt_teacher.yaml"
    command = ["--config", str(path), "--dry_run", "true", "--iterator_type", "none"]
    command += ["--token_list", str(models / "tokens.txt")]
    command += ["--encoder_conf", f"model={models / 'hubert'}"]
    ASRKDTask.main(cmd=command + ["--output_dir", str(tmp_path)])
    with pytest.raises(InputError, match="normalize: utterance_mvn would change"):
        stats = ["--normalize", "utterance_mvn"]
        ASRKDTask.main(cmd=command + ["--output_dir", str(tmp_path), *stats])


def test_decoding():
    for name in ("", "_joint"):
        path = CONF / f"llm/decode_speech_prompt{name}.yaml"
        options = SearchOptions.from_yaml(path)
        assert options.search == "speech_prompt"
        assert Limits(**options.limits) == Limits()
    options = SearchOptions.from_yaml(CONF / "llm/decode_beam.yaml")
    assert (options.search, options.ctc_weight) == ("beam", 0.0)
