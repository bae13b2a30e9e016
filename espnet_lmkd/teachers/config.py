"""The yaml that describes a teacher, such as those of `conf/teacher`."""

from pathlib import Path

import yaml

from espnet_lmkd.errors import InputError

DEFAULTS = {
    "student": {"model": {}, "training": {}, "mlm_probability": 0.15},
    "wordpiece": {
        "model": {},
        "vocab_size": 2000,
        "training": {},
        "mlm_probability": 0.15,
    },
    "teacher": {
        "model": None,
        "revision": None,
        "prune": True,
        "lowercase": False,
        "training": {},
        "mlm_probability": 0.15,
    },
}


def read_config(path) -> dict:
    """Read the yaml of a teacher; see `prepare_teacher`."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such teacher config")
    config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise InputError(f"{path}: a yaml of key: value lines was wanted")
    return config


def complete_config(config) -> dict:
    """Return the config with its defaults.

    Raises:
        InputError: If the mode or a key is not known.
    """
    mode = config.get("mode")
    if mode not in DEFAULTS:
        raise InputError(f"mode {mode!r} came, one of {', '.join(DEFAULTS)} was wanted")
    complete = {"mode": mode, **DEFAULTS[mode]}
    for key, value in config.items():
        if key not in complete:
            raise InputError(
                f"{key!r} is no key of a teacher config of mode {mode}; it has"
                f" {', '.join(complete)}"
            )
        complete[key] = value
    if complete["model"] is None:
        raise InputError("model is missing: give a folder or an id of the hub")
    return complete
