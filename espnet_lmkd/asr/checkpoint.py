"""A checkpoint is what its configuration says."""

import pickle
from typing import Dict

import torch

from espnet_lmkd.errors import InputError


def read_checkpoint(path) -> Dict[str, torch.Tensor]:
    """Read a checkpoint; do so before ESPnet, which may unpickle whatever comes.

    Raises:
        InputError: it holds more than tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} is no checkpoint of tensors alone and is not loaded: "
            f"{str(error).splitlines()[0]}"
        ) from error


def check_checkpoint(model: torch.nn.Module, path, prefix: str = "") -> None:
    """Load a checkpoint once more and refuse one of other parameters.

    ESPnet loads what fits and leaves the rest random without a word.

    Args:
        model: what was built for it.
        path: checkpoint.
        prefix: of the names in the checkpoint.
    """
    stored = read_checkpoint(path)
    stored = {name.removeprefix(prefix): value for name, value in stored.items()}
    missing, unknown = model.load_state_dict(stored, strict=False)
    if missing or unknown:
        raise InputError(
            f"{path} is not a checkpoint of this configuration: {len(missing)} "
            f"parameters are missing {missing[:3]}, {len(unknown)} are unknown "
            f"{unknown[:3]}; give the config.yaml it was trained with"
        )
