"""ESPnet3 trains our students: its task by name, its datasets with our transform."""

from pathlib import Path

import numpy as np
import pytest
from tiny_store import TEXTS, make_store

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.of_text import AddTargets

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "conf/espnet3/training_asr_kd_ctc_interaed.yaml"


def test_targets_are_found_by_the_text(tmp_path):
    make_store(tmp_path)
    add_targets = AddTargets(tmp_path / "store", "char", tmp_path / "tokens.txt")
    sample = add_targets({"speech": 1, "text": "hag"})
    assert sample["teacher_topk_ids"].tolist() == [[3, 4, 5]] * 3
    assert sample["teacher_topk_log_probs"].shape == (3, 3) and sample["speech"] == 1
    with pytest.raises(InputError, match="no targets of the text 'bag'"):
        add_targets({"text": "bag"})


def test_a_store_of_another_tokenizer_is_refused(tmp_path):
    """Of the same lengths and the same size, as after training BPE once more."""
    make_store(tmp_path)
    tokens = tmp_path / "tokens.txt"
    lines = tokens.read_text().splitlines()
    lines[3:5] = lines[4:2:-1]
    tokens.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="another tokenizer: fingerprint"):
        AddTargets(tmp_path / "store", "char", tokens)
    make_store(tmp_path)
    with pytest.raises(InputError, match="token_type char in the store, word in"):
        AddTargets(tmp_path / "store", "word", tokens)


def load(path, folder):
    """Read a configuration of a recipe that lies in `folder`."""
    omegaconf = pytest.importorskip("omegaconf")
    pytest.importorskip("espnet3", reason="espnet3 comes with ESPnet 202609 and later")
    config = omegaconf.OmegaConf.load(path)
    config.update(recipe_dir=str(folder), data_dir=str(folder))
    config.tokenizer.save_path = str(folder)  # holds tokens.txt
    config.tokenizer.vocab_size = 12
    return config


def one_step(config, folder):
    """Do what ESPnet3 does with a batch of training; return the loss's parts."""
    from espnet2.train.collate_fn import CommonCollateFn
    from espnet3.components.data.dataset import DatasetWithTransform
    from espnet3.utils.task_utils import get_espnet_model
    from hydra.utils import instantiate

    generator = np.random.default_rng(0)
    samples = [
        {"speech": generator.normal(0, 0.1, 9_000).astype("float32"), "text": text}
        for text in TEXTS.values()
    ]
    preprocessor = dict(config.dataset.preprocessor, token_type="char", bpemodel=None)
    dataset = DatasetWithTransform(
        samples,
        AddTargets(f"{folder}/store", "char", f"{folder}/tokens.txt"),
        instantiate(preprocessor, train=True),
        use_espnet_preprocessor=True,
    )
    rows = [(str(index), dataset[index]) for index in range(len(samples))]
    rows = [row[1] if isinstance(row[1], tuple) else row for row in rows]
    _, batch = CommonCollateFn(int_pad_value=-1)(rows)
    model = get_espnet_model(config.task, config.model)
    loss, stats, _ = model(**batch)
    loss.sum().backward()
    taught = [p.grad for n, p in model.named_parameters() if n.startswith("distillers")]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in taught)
    return stats


def test_the_example_trains(tmp_path):
    make_store(tmp_path)
    config = load(EXAMPLE, tmp_path)
    store = config.dataset.train[0].transform
    assert store["_target_"] == "espnet_lmkd.targets.of_text.AddTargets"
    for name in ("token_type", "token_list", "bpemodel"):
        assert store[name] == config.dataset.preprocessor[name]
    config.model.encoder_conf.update(output_size=16, linear_units=24)
    stats = one_step(config, tmp_path)
    assert stats["loss_interaed"] > 0 and stats["loss_ctc"] > 0


@pytest.mark.parametrize("name", ["ctc", "transformer", "transducer", "streaming"])
def test_espnets_own_configurations_of_mini_an4_take_a_distiller(name, tmp_path):
    make_store(tmp_path)
    espnet3 = pytest.importorskip("espnet3", reason="of ESPnet 202609 and later")
    conf = Path(espnet3.__file__).parents[1] / "egs3/mini_an4/esp2_asr/conf"
    file = "transformer" if name == "ctc" else name
    config = load(conf / f"training_asr_{file}.yaml", tmp_path)
    config.task = "espnet_lmkd.asr.task.ASRKDTask"
    config.model.model = "lmkd"
    if name == "ctc":
        config.model.model_conf.ctc_weight = 1.0
    decoder = dict(attention_heads=2, linear_units=4, num_blocks=1)
    distiller = dict(type="interaed", conf=dict(layers=[], decoder_conf=decoder))
    config.model.model_conf.distillers = [distiller]
    config.dataset.preprocessor = {
        "_target_": "espnet2.train.preprocessor.CommonPreprocessor",
        "token_list": f"{tmp_path}/tokens.txt",
    }
    stats = one_step(config, tmp_path)
    assert stats["loss_interaed"] > 0
