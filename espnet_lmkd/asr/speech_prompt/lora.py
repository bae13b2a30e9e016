"""Low-rank adapters beside projections of a causal language model."""

import inspect
from typing import Any, Dict, List, Optional

from espnet_lmkd.errors import InputError


def add_lora(model, options: Dict[str, Any]) -> None:
    """Put trainable float32 adapters beside projections of a model, in place.

    Args:
        model: of transformers.
        options: r, alpha, dropout and target_modules, see `CausalLM`.

    Raises:
        InputError: an option is wrong, or peft is missing.
    """
    accepted = list(inspect.signature(_add_lora).parameters)[1:]
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        raise InputError(f"lora has no option {unknown}; choose from {accepted}")
    _add_lora(model, **options)


def _add_lora(
    model,
    r: int = 16,
    alpha: float = 32,
    dropout: float = 0.0,
    target_modules: Optional[List[str]] = None,
) -> None:
    try:
        import peft
    except ImportError as error:
        raise InputError("lora needs the package peft: pip install peft") from error
    conf = peft.LoraConfig(
        r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=target_modules
    )
    try:
        peft.inject_adapter_in_model(conf, model)
    except ValueError as error:
        names = {n.split(".")[-1] for n, m in model.named_modules() if _projects(m)}
        wanted = f"target_modules {target_modules} do not fit"
        if target_modules is None:
            wanted = f"peft knows no target_modules of a {model.config.model_type}"
        raise InputError(f"lora: {wanted}; choose from {sorted(names)}") from error
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _projects(module) -> bool:
    return type(module).__name__ in ("Linear", "Conv1D")
