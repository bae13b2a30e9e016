"""Find a distiller by the name of its file or by a dotted path."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any, Dict, Type

from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.errors import InputError

FRAMEWORK = {"abs_distiller", "abs_hidden_distiller", "registry", "weighted"}


def names() -> list:
    """Return the distillers of the pack: the files of this folder."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if module.name not in FRAMEWORK)


def get_class(type_name: str) -> Type[AbsDistiller]:
    """Return the class behind a name of the pack or a dotted path outside of it.

    Args:
        type_name: `interaed`, or `my_package.my_module.MyDistiller`.

    Raises:
        InputError: nothing of that name, or not a distiller.

    Example:
        >>> get_class("interaed").__name__
        'InterAEDDistiller'
    """
    if type_name in names():
        module = importlib.import_module(f"espnet_lmkd.distillers.{type_name}")
        (found,) = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, AbsDistiller)
            and value.__module__ == module.__name__
        ]
        return found
    module_name, _, class_name = type_name.rpartition(".")
    if not module_name:
        raise InputError(
            f"unknown distiller type {type_name!r}; choose one of {names()} "
            "or give the dotted path of a class"
        )
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"distiller type {type_name!r} cannot be imported: {error}"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, AbsDistiller)):
        raise InputError(f"distiller type {type_name!r} is no AbsDistiller subclass")
    return found


def build(type_name: str, student: StudentSpec, conf: Dict[str, Any]) -> AbsDistiller:
    """Build a distiller, naming the accepted options when one is wrong."""
    distiller_class = get_class(type_name)
    accepted = list(inspect.signature(distiller_class).parameters)[1:]
    unknown = sorted(set(conf) - set(accepted))
    if unknown:
        raise InputError(
            f"distiller {type_name!r} has no option {unknown}; choose from {accepted}"
        )
    return distiller_class(student, **conf)
