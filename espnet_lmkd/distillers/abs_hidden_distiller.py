"""What distillers of a language model's hidden states have in common."""

from typing import Any, Collection, Dict, Mapping

from torch.nn.functional import layer_norm

from espnet_lmkd.distillers.abs_distiller import AbsDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


class AbsHiddenDistiller(AbsDistiller):
    """A way to learn from `teacher_hidden`, whose width the store decides."""

    targets = ("teacher_hidden",)

    @classmethod
    def store_conf(cls, manifest: Mapping[str, Any]) -> Dict[str, Any]:
        """Take the width of the targets from their store."""
        return {"target_size": manifest["targets"]["teacher_hidden"]["dim"]}

    @classmethod
    def name(cls) -> str:
        """Return the distiller's type."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def choose(cls, option: str, value: str, choices: Collection[str]) -> str:
        """Return an option's value, or raise an `InputError` with the choices."""
        if value not in choices:
            raise InputError(
                f"{cls.name()}: unknown {option} {value!r}; "
                f"choose one of {list(choices)}"
            )
        return value

    def hidden_targets(
        self, teacher: Mapping[str, Padded], width: int, normalize: bool = False
    ) -> Padded:
        """Return the targets in float32, after LayerNorm or not.

        Raises:
            InputError: they are not of the width that was configured.
        """
        hidden = teacher["teacher_hidden"].trimmed()
        found = hidden.data.shape[2]
        if found != width:
            raise InputError(
                f"{self.name()}: the targets' width is {found}, target_size says "
                f"{width}; set target_size: {found} in the distiller's conf"
            )
        data = hidden.data.float()
        return Padded(layer_norm(data, (width,)) if normalize else data, hidden.lengths)
