"""A distiller with its name, weight and place in the batch."""

import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch

from espnet_lmkd.distillers import registry
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

ENTRY = ("name", "type", "weight", "conf")
RAMP = ("start", "end", "batches")
# ESPnet logs loss_ctc, cer_interctc_layer3, ...; `loss_asr` is this pack's.
TAKEN = re.compile("asr|att|ctc|transducer|interctc_layer[0-9]+")


class WeightedDistiller(torch.nn.Module):
    """One entry of `model_conf: {distillers: [...]}`.

    Args:
        student: sizes and special tokens of the student.
        type: file name in `espnet_lmkd/distillers` or dotted path of a class.
        name: name in the logs, `loss_<name>`; the type if not given.
        weight: factor on the loss, or a linear ramp {start, end, batches} over the
            first training batches; the distiller's `default_weight` if not given.
        conf: the distiller's own options.
    """

    def __init__(self, student: StudentSpec, type, name=None, weight=None, conf=None):
        super().__init__()
        self.name = name or type.rpartition(".")[2]
        self.distiller = registry.build(type, student, conf or {})
        if weight is None:
            weight = self.distiller.default_weight
        if not isinstance(weight, dict):
            weight = {"start": weight, "end": weight, "batches": 0}
        if set(weight) != set(RAMP):
            raise InputError(
                f"distiller {self.name!r}: weight is a number or a ramp with exactly "
                f"the keys {list(RAMP)}, got {sorted(weight)}"
            )
        self.start, self.end = float(weight["start"]), float(weight["end"])
        self.batches = int(weight["batches"])
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))

    def weight(self) -> float:
        """Return the weight at this point of the training."""
        if self.batches == 0:
            return self.end
        done = min(int(self.batches_seen) / self.batches, 1.0)
        return self.start + (self.end - self.start) * done

    def forward(
        self,
        student: Mapping[str, Padded],
        teacher: Mapping[str, Padded],
        utt_ids: Sequence[str],
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """Return the weighted loss, a sum over the batch by its size, and its stats.

        Raises:
            InputError: an utterance's loss is not finite though the student is.
        """
        taps = {name: student[name] for name in self.distiller.taps}
        targets = {name: teacher[name] for name in self.distiller.targets}
        losses, metrics = self.distiller(taps, targets)
        bad = ~torch.isfinite(losses.detach())
        # An overflow of the student itself (AMP) is the trainer's to skip.
        activations = [tap.data for tap in taps.values() if isinstance(tap, Padded)]
        if bad.any() and all(data.isfinite().all() for data in activations):
            named = [utt for utt, is_bad in zip(utt_ids, bad.tolist()) if is_bad]
            raise InputError(
                f"loss_{self.name} is not finite for the utterances {named[:5]} "
                f"({len(named)} in this batch); check their targets with "
                "espnet_lmkd.bin.check_targets --sha256"
            )
        loss = losses.sum() / len(losses)
        weight = self.weight()
        if self.training:
            self.batches_seen += 1
        stats = {f"loss_{self.name}": loss.detach()}
        stats.update({f"{key}_{self.name}": value for key, value in metrics.items()})
        return weight * loss, stats


def build_distillers(
    entries: List[Dict[str, Any]], student: StudentSpec
) -> torch.nn.ModuleDict:
    """Build the list of a yaml file, keyed by name.

    Raises:
        InputError: unknown key, type or option, two entries of one name, or a name
            under which the recogniser logs its own.
    """
    built = torch.nn.ModuleDict()
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or "type" not in entry
            or set(entry) - set(ENTRY)
        ):
            raise InputError(
                f"an entry of distillers needs 'type' and may have {list(ENTRY)}, "
                f"got {entry}"
            )
        weighted = WeightedDistiller(student, **entry)
        if TAKEN.fullmatch(weighted.name):
            raise InputError(
                f"distiller {weighted.name!r}: loss_{weighted.name} is the "
                "recogniser's own in the logs, as are those of asr, att, ctc, "
                "transducer and interctc_layer<k>; give another 'name'"
            )
        if weighted.name in built:
            raise InputError(
                f"two distillers are called {weighted.name!r}; give each a 'name'"
            )
        built[weighted.name] = weighted
    return built
