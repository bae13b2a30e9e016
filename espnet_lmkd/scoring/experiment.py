"""What an experiment's files tell: scores, speed, cost, learning curve."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import ScoredUtterance
from espnet_lmkd.scoring.tables import read_score

EPOCH = re.compile(r"(\d+)epoch results: (.*)")
SECTION = re.compile(r"\[(\w+)\] ")
NUMBER = re.compile(r"(\w+)=([-+.\deinfa]+)(?=,|$)")
TIME = re.compile(r"(?:^|, )time=(.*?)(?=, \w+=|, $|$)")
SPAN = re.compile(r"([\d.]+) (week|day|hour|minute|second)")
MINUTES = {"week": 10080, "day": 1440, "hour": 60, "minute": 1, "second": 1 / 60}
CURVES = ("cer_ctc", "loss_ctc", "loss")


def span_minutes(text: str) -> float:
    """Return the minutes of a time span as ESPnet writes it.

    Example:
        >>> span_minutes("1 hour, 2 minutes and 30 seconds")
        62.5
    """
    return sum(float(count) * MINUTES[unit] for count, unit in SPAN.findall(text))


def read_log(exp) -> Dict[int, Dict[str, Dict[str, float]]]:
    """Read the epochs of ESPnet's `train.log`, rotated ones (`train.1.log`) included.

    Args:
        exp: experiment directory.

    Returns:
        Epoch -> "train" or "valid" -> stat -> value, with `time` in minutes. Empty
        where there is no log.
    """
    epochs = {}
    for path in sorted(Path(exp).glob("train*.log"), key=lambda p: p.stat().st_mtime):
        for number, line in EPOCH.findall(path.read_text(errors="replace")):
            _, *parts = SECTION.split(line)
            stats = epochs[int(number)] = {}
            for section, values in zip(parts[::2], parts[1::2]):
                numbers = {k: float(v) for k, v in NUMBER.findall(values)}
                spans = TIME.findall(values)
                if spans:
                    numbers["time"] = span_minutes(spans[0])
                stats[section] = numbers
    return dict(sorted(epochs.items()))


@dataclass(frozen=True)
class Run:
    """One trained model with one way of decoding it.

    Args:
        exp: experiment directory; `_seed<N>` at its end tells runs of a system apart.
        decode: decode tag, a folder of it.
    """

    exp: Path
    decode: str

    @property
    def system(self) -> str:
        """Name of the configuration: the directory without `asr_` and seed."""
        return re.sub(r"_seed\d+$", "", self.exp.name.removeprefix("asr_"))

    def scores(self, test_set: str, kind: str) -> List[ScoredUtterance]:
        """Return the counts of each utterance."""
        return read_score(self.exp / self.decode / test_set / f"score_{kind}")

    def decoding(self, test_set: str) -> Dict:
        """Return `rtf.json`."""
        path = self.exp / self.decode / test_set / "rtf.json"
        if not path.is_file():
            raise InputError(f"{path}: no such file; decode this set first (stage 12)")
        return json.loads(path.read_text())

    def training_minutes(self) -> Optional[float]:
        """Return the time of all epochs, None without a log."""
        times = [
            stats.get(section, {}).get("time", 0.0)
            for stats in read_log(self.exp).values()
            for section in ("train", "valid")
        ]
        return sum(times) if times else None

    def curve(self) -> Optional[Dict]:
        """Return the first of `CURVES` that validation logged, over the epochs."""
        epochs = read_log(self.exp)
        for stat in CURVES:
            points = {
                epoch: stats["valid"][stat]
                for epoch, stats in epochs.items()
                if stat in stats.get("valid", {})
            }
            if points:
                return {
                    "stat": stat,
                    "epochs": list(points),
                    "values": [*points.values()],
                }
        return None


def parse_systems(specs: List[str], decode: Optional[str]) -> Dict[str, List[Run]]:
    """Group experiments by system, in the order given.

    Without a name a system is called by its directory, and by its decode tag too where
    that is not the first one's.

    Args:
        specs: `dir`, `name=dir`, `dir:decode_tag` or `name=dir:decode_tag`.
        decode: decode tag of those that name none.

    Raises:
        InputError: no such directory, no decode tag, a run given twice, or one name
            for different decode tags.

    Example:
        >>> parse_systems(["lm=.:decode_lm"], None)
        {'lm': [Run(exp=PosixPath('.'), decode='decode_lm')]}
    """
    named_runs = []
    for spec in specs:
        name, _, rest = spec.rpartition("=")
        directory, _, tag = rest.partition(":")
        tag = tag or decode
        if not Path(directory).is_dir():
            raise InputError(f"{directory}: no such experiment; check --exp")
        if tag is None:
            raise InputError(f"{spec}: which decoding? Give --decode or dir:decode_tag")
        named_runs.append((name, Run(Path(directory), tag)))
    first_tag = named_runs[0][1].decode
    systems = {}
    for name, run in named_runs:
        other_tag = "" if run.decode == first_tag else f", {run.decode}"
        name = name or run.system + other_tag
        runs = systems.setdefault(name, [])
        if run in runs:
            raise InputError(
                f"{run.exp}:{run.decode}: given twice; a seed needs its own directory"
            )
        if runs and runs[0].decode != run.decode:
            raise InputError(
                f"system {name!r} is decoded as {runs[0].decode} and as {run.decode}; "
                "give the two different names"
            )
        runs.append(run)
    return systems
