"""Turn a distilled student into a model for ESPnet's zoo, a plain one where it can."""

import argparse
import contextlib
import inspect
import os
import shutil
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Optional

import torch
import yaml
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.main_funcs.pack_funcs import pack
from espnet2.tasks.asr import ASRTask

from espnet_lmkd.asr import warprnnt
from espnet_lmkd.asr.model_card import model_card
from espnet_lmkd.errors import InputError

PREFIX = "lmkd_"
TEACHING = ("distillers", "live_teacher")  # of model_conf: for training only
STOCK_DECODERS = {"lmkd_bert_kd": "transformer"}
FILES = {  # by ESPnet's names; without them a hub's copy is not known
    "files": {"asr_model_file": "model.pth"},
    "yaml_files": {"asr_train_config": "config.yaml"},
}


def default_model_file(exp: Path) -> Path:
    """Return the experiment's averaged checkpoint where there is one only."""
    found = sorted(exp.glob("valid.*.ave.pth"))
    if len(found) != 1:
        names = [path.name for path in found] or "none"
        raise InputError(
            f"{exp}: one valid.*.ave.pth was wanted, found {names}; give --model_file"
        )
    return found[0]


def exported_config(config: Dict[str, Any]) -> Dict[str, Any]:
    """Return the configuration without what only teaches.

    It is stock ESPnet's where the parts are; with parts of this pack, as `lmkd_cif` is,
    it is `model: lmkd`, also where the training, a baseline's, had `model: espnet`.

    Example:
        >>> conf = {"ctc_weight": 1.0, "distillers": []}
        >>> exported_config({"model": "lmkd", "model_conf": conf})
        {'model': 'espnet', 'model_conf': {'ctc_weight': 1.0}}
        >>> exported_config(
        ...     {"model": "lmkd", "model_conf": conf, "decoder": "lmkd_cif"}
        ... )
        {'model': 'lmkd', 'model_conf': {'ctc_weight': 1.0}, 'decoder': 'lmkd_cif'}
    """
    config = dict(config)
    if config.get("decoder") in STOCK_DECODERS:
        config["decoder"] = STOCK_DECODERS[config["decoder"]]
        known = inspect.signature(TransformerDecoder.__init__).parameters
        conf = config.get("decoder_conf") or {}
        config["decoder_conf"] = {k: v for k, v in conf.items() if k in known}
    conf = {k: v for k, v in config["model_conf"].items() if k not in TEACHING}
    kinds = [choices.name for choices in ASRTask.class_choices_list]
    if any((config.get(kind) or "").startswith(PREFIX) for kind in kinds):
        config["model"] = "lmkd"
    else:
        known = inspect.signature(ESPnetASRModel.__init__).parameters
        conf = {key: value for key, value in conf.items() if key in known}
        config["model"] = "espnet"
    config["model_conf"] = conf
    for name in ("train", "valid"):
        key = f"{name}_data_path_and_name_and_type"
        if key in config:
            triples = config[key]
            config[key] = [t for t in triples if not t[2].startswith(PREFIX)]
    return config


def copy_files(config: Dict[str, Any], out: Path) -> None:
    """Copy what the configuration reads at inference; its paths become relative."""
    bpemodel = config.get("bpemodel")
    if bpemodel and Path(bpemodel).is_dir():
        shutil.copytree(
            bpemodel,
            out / "tokenizer",
            ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "lmkd_*"),
            dirs_exist_ok=True,
        )
        config["bpemodel"] = "tokenizer"
    elif bpemodel and Path(bpemodel).is_file():
        shutil.copyfile(bpemodel, out / "bpe.model")
        config["bpemodel"] = "bpe.model"
    stats = (config.get("normalize_conf") or {}).get("stats_file")
    if stats:
        if not Path(stats).is_file():
            raise InputError(
                f"{stats}: the feature statistics do not exist; run from the folder "
                "of the training, or stage 10 again"
            )
        name = "feats_stats" + Path(stats).suffix
        shutil.copyfile(stats, out / name)
        config["normalize_conf"] = dict(config["normalize_conf"], stats_file=name)


def check_loads(out: Path) -> None:
    """Build the model of an exported folder as ESPnet does and load it strictly."""
    warprnnt.provide()
    with contextlib.chdir(out):
        config = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
        model = ASRTask.build_model(argparse.Namespace(**config))
        state = torch.load("model.pth", map_location="cpu", weights_only=True)
        try:
            model.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise InputError(
                f"{out}: ESPnet's model has other parameters than this "
                f"checkpoint: {error}"
            ) from error


def export_student(exp, model_file: Optional[str] = None, make_zip: bool = False):
    """Write `<exp>/exported`, as it goes to a hub, and have ESPnet load it strictly.

    Args:
        exp: an experiment of `asr_kd_train`, with `config.yaml`.
        model_file: checkpoint; the only `valid.*.ave.pth` if not given.
        make_zip: also write `student.zip`, the same in one file.

    Returns:
        The exported folder.

    Raises:
        InputError: a file is missing, or holds other parameters.
    """
    exp = Path(exp)
    if not (exp / "config.yaml").is_file():
        raise InputError(f"{exp / 'config.yaml'}: no such file; train first (stage 11)")
    model_file = Path(model_file) if model_file else default_model_file(exp)
    if not model_file.is_file():
        raise InputError(f"{model_file}: no such checkpoint")
    trained = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    config = exported_config(trained)
    state = torch.load(model_file, map_location="cpu", weights_only=True)
    state = {k: v for k, v in state.items() if not k.startswith("distillers.")}

    out, unfinished = exp / "exported", exp / "exported.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    copy_files(config, unfinished)
    torch.save(state, unfinished / "model.pth")
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
    (unfinished / "config.yaml").write_text(text, encoding="utf-8")
    card = model_card(exp, trained, config)
    (unfinished / "README.md").write_text(card, encoding="utf-8")
    check_loads(unfinished)
    if make_zip:
        _pack(unfinished)
    _write_meta(unfinished)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(unfinished, out)
    return out


def _pack(out: Path) -> None:
    """Write `student.zip` as `espnet2.bin.pack asr` does."""
    with contextlib.chdir(out):
        named = {name for group in FILES.values() for name in group.values()}
        rest = [p for p in sorted(Path().rglob("*")) if p.is_file()]
        pack(
            **FILES,
            option=[path for path in rest if str(path) not in named],
            outpath="student.zip",
        )


def _write_meta(out: Path) -> None:
    """Write the meta.yaml that ESPnet packs, for `Speech2Text.from_pretrained`."""
    meta = dict(
        FILES,
        timestamp=datetime.now().timestamp(),
        python=sys.version,
        torch=str(torch.__version__),
        espnet=metadata.version("espnet"),
    )
    (out / "meta.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
