"""Checkpoints without the frozen pretrained models, which they name."""

import argparse
import contextlib
import inspect
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import torch
import yaml

from espnet_lmkd.asr.export import copy_files, default_model_file
from espnet_lmkd.asr.pretrained_speech import PretrainedSpeech
from espnet_lmkd.asr.speech_encoder import SpeechEncoder
from espnet_lmkd.asr.speech_prompt.causal_lm import load_causal_lm
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.asr.task import ASRKDTask
from espnet_lmkd.data.directory import write_lines
from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.pretrained import weights_sha256

# Averaged checkpoints hold what was frozen up to rounding.
ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


def _load_lm(conf: Dict[str, Any]) -> torch.nn.Module:
    return load_causal_lm(conf["model"], conf["revision"], conf["lm_dtype"])


def _load_encoder(conf: Dict[str, Any]) -> torch.nn.Module:
    return PretrainedSpeech.from_pretrained(conf["model"], conf["revision"]).model


class Part(NamedTuple):
    """A part of a recogniser that is made of a pretrained model.

    Args:
        choice: its name in a configuration.
        builder: class behind it, for the defaults of its options.
        prefix: of the pretrained parameters.
        load: returns the pretrained model, given the options.
    """

    choice: str
    builder: type
    prefix: str
    load: Callable[[Dict[str, Any]], torch.nn.Module]


PARTS = {
    "decoder": Part(
        "lmkd_speech_prompt", SpeechPromptDecoder, "decoder.lm.model.", _load_lm
    ),
    "encoder": Part(
        "lmkd_speech", SpeechEncoder, "encoder.pretrained.model.", _load_encoder
    ),
}


def save_adapter(exp, out, model_file=None) -> Dict[str, Any]:
    """Write what an experiment has trained, and which pretrained models it wants.

    `out` gets `adapter.pth`, `base.json` (id, revision, commit and SHA-256 of the
    weights of each frozen model), `config.yaml`, tokenizer and feature statistics.

    Args:
        exp: experiment with `config.yaml`.
        out: folder to write.
        model_file: checkpoint; the only `valid.*.ave.pth` if not given.

    Returns:
        The content of `base.json`.

    Raises:
        InputError: nothing is frozen, or the checkpoint holds another model than the
            one that its configuration names.
    """
    exp, out = Path(exp), Path(out)
    if not (exp / "config.yaml").is_file():
        raise InputError(f"{exp / 'config.yaml'}: no such file; train first (stage 11)")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    model_file = Path(model_file) if model_file else default_model_file(exp)
    state = torch.load(model_file, map_location="cpu", weights_only=True)
    size, bases = _bytes(state), {}
    model = ASRKDTask.build_model(argparse.Namespace(**config))
    parameters = model.named_parameters(remove_duplicate=False)  # tied ones twice
    frozen = [name for name, value in parameters if not value.requires_grad]
    for part, names in _by_part(config, frozen).items():
        base, record = _load_base(config, part)
        bases[part] = record
        own = base.state_dict()
        for name in names:
            _check_equal(own[_base_name(part, name)], state.pop(name), name, record)
    if not bases:
        raise InputError(
            f"{exp}: nothing of its pretrained models is frozen; keep {model_file}"
        )
    copied = dict(config)
    out.mkdir(parents=True, exist_ok=True)
    copy_files(copied, out)
    text = yaml.safe_dump(copied, allow_unicode=True, sort_keys=False)
    write_lines(out / "config.yaml", text.splitlines())
    _save(state, out / "adapter.pth")
    record = {"bytes": _bytes(state), "bytes_with_bases": size, "bases": bases}
    write_lines(out / "base.json", [json.dumps(record, indent=1)])
    return record


def restore_adapter(folder, sources: Optional[Dict[str, str]] = None) -> Path:
    """Write `model.pth`, the complete checkpoint, beside an adapter.

    Args:
        folder: written by `save_adapter`.
        sources: part (`decoder`, `encoder`) -> folder or id of its pretrained model,
            instead of the one that was trained with.

    Returns:
        The checkpoint; with `config.yaml` it is a trained model as any other.

    Raises:
        InputError: a pretrained model is not the one that was trained with.
    """
    folder = Path(folder)
    if not (folder / "base.json").is_file():
        raise InputError(f"{folder / 'base.json'}: no such file; save an adapter first")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    bases = json.loads((folder / "base.json").read_text(encoding="utf-8"))["bases"]
    state = torch.load(folder / "adapter.pth", map_location="cpu", weights_only=True)
    for part, wanted in bases.items():
        if sources and part in sources:
            config[f"{part}_conf"].update(model=sources[part], revision=None)
        base, found = _load_base(config, part)
        if found["sha256"] != wanted["sha256"]:
            raise InputError(
                f"{folder} wants the {part} {wanted['model']!r} with weights of SHA-256"
                f" {wanted['sha256'][:16]}..., but {found['model']!r} has"
                f" {found['sha256'][:16]}...; give the model that it was trained with"
            )
        bases[part] = base.state_dict()
    with contextlib.chdir(folder):
        model = ASRKDTask.build_model(argparse.Namespace(**config))
    names = [name for name in model.state_dict() if name not in state]
    for part, names in _by_part(config, names).items():
        for name in names:
            state[name] = bases[part][_base_name(part, name)]
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"{folder}/adapter.pth is incomplete: {error}") from error
    _save(state, folder / "model.pth")
    return folder / "model.pth"


def _by_part(config, names) -> Dict[str, list]:
    """Return the parts that a configuration has, with those names that are theirs."""
    parts = {
        part: [name for name in names if name.startswith(PARTS[part].prefix)]
        for part in PARTS
        if config.get(part) == PARTS[part].choice
    }
    return {part: names for part, names in parts.items() if names}


def _base_name(part: str, name: str) -> str:
    """Return a parameter's name in the pretrained model, where LoRA has none."""
    return name.removeprefix(PARTS[part].prefix).replace(".base_layer.", ".")


def _load_base(config, part: str) -> Tuple[torch.nn.Module, Dict[str, Any]]:
    signature = inspect.signature(PARTS[part].builder).parameters
    conf = {name: option.default for name, option in signature.items()}
    conf.update(config[f"{part}_conf"])
    base = PARTS[part].load(conf)
    return base, {
        "model": conf["model"],
        "revision": conf["revision"],
        "commit": getattr(base.config, "_commit_hash", None),
        "sha256": weights_sha256(base),
    }


def _check_equal(pretrained, stored, name: str, record) -> None:
    tolerance = ROUNDING[pretrained.dtype]
    if not torch.allclose(stored.float(), pretrained.float(), rtol=tolerance, atol=0):
        raise InputError(
            f"the checkpoint's {name} is not that of {record['model']!r}; give the"
            " model and revision that were trained with in config.yaml"
        )


def _bytes(state) -> int:
    """Return the size of tensors; one that has several names counts once."""
    storages = {t.data_ptr(): t.untyped_storage().nbytes() for t in state.values()}
    return sum(storages.values())


def _save(state, path: Path) -> None:
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    os.replace(unfinished, path)
