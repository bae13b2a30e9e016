"""Compare systems over seeds, speakers and utterances against a baseline."""

import math
from typing import Any, Dict, List, Optional

import numpy as np

from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.bootstrap import relative_change
from espnet_lmkd.scoring.experiment import Run
from espnet_lmkd.scoring.tables import markdown

HEADER = (
    "system",
    "seeds",
    "WER %",
    "CER %",
    "WER change",
    "95 % interval",
    "P(better)",
    "parameters",
    "RTF",
    "training",
)


def _scores(runs: List[Run], test_set: str, kind: str) -> Dict[str, Any]:
    """Return (S, N) errors and (N,) lengths and speakers of a system's runs."""
    scored = [run.scores(test_set, kind) for run in runs]
    names = [[(utt.utterance, utt.counts.length) for utt in utts] for utts in scored]
    for run, other in zip(runs[1:], names[1:]):
        if other != names[0]:
            raise InputError(
                f"{run.exp / run.decode / test_set}: other utterances or references "
                f"than in {runs[0].exp / runs[0].decode / test_set}; decode and score "
                "the same set"
            )
    return {
        "where": runs[0].exp / runs[0].decode / test_set,
        "utterances": names[0],  # and the lengths of their references
        "errors": np.array([[utt.counts.errors for utt in utts] for utts in scored]),
        "lengths": np.array([utt.counts.length for utt in scored[0]]),
        "speakers": [utt.speaker for utt in scored[0]],
    }


def _rates(scores: Dict[str, Any]) -> List[float]:
    """Return the error rate of each seed in percent."""
    return [
        100 * float(row.sum() / scores["lengths"].sum()) for row in scores["errors"]
    ]


def _finite(values: Dict[str, float]) -> Dict[str, Optional[float]]:
    """Return None for nan, which JSON does not know."""
    return {k: None if math.isnan(v) else v for k, v in values.items()}


def compare_set(
    systems: Dict[str, List[Run]], baseline: str, test_set: str
) -> List[Dict[str, Any]]:
    """Return what the table holds of each system on one test set.

    Args:
        systems: name -> runs, one per seed.
        baseline: the name the others are compared with.
        test_set: folder below the decode tag.

    Raises:
        InputError: no such baseline, or systems scored on different utterances.
    """
    if baseline not in systems:
        raise InputError(f"no system {baseline!r}; choose from {list(systems)}")
    base = _scores(systems[baseline], test_set, "wer")
    rows = []
    for name, runs in systems.items():
        scores = _scores(runs, test_set, "wer")
        if scores["utterances"] != base["utterances"]:
            raise InputError(
                f"{scores['where']}: other utterances or references than the "
                f"baseline's in {base['where']}; decode and score the same set"
            )
        same_models = [r.exp for r in runs] == [r.exp for r in systems[baseline]]
        change = relative_change(
            scores["errors"], base["errors"], base["speakers"], same_models
        )
        decodings = [run.decoding(test_set) for run in runs]
        minutes = [run.training_minutes() for run in runs]
        minutes = [value for value in minutes if value is not None]
        rows.append(
            {
                "system": name,
                "baseline": name == baseline,
                "test_set": test_set,
                "seeds": len(runs),
                "wer": _rates(scores),
                "cer": _rates(_scores(runs, test_set, "cer")),
                "change": None if name == baseline else _finite(change._asdict()),
                "utterances": len(scores["utterances"]),
                "speakers": len(set(scores["speakers"])),
                "parameters": decodings[0]["parameters"],
                "search": decodings[0]["search"],
                "rtf": float(np.mean([decoding["rtf"] for decoding in decodings])),
                "device": decodings[0]["device"],
                "training_minutes": float(np.mean(minutes)) if minutes else None,
                "experiments": [f"{run.exp}:{run.decode}" for run in runs],
            }
        )
    return rows


def _mean_sd(values: List[float]) -> str:
    mean = f"{np.mean(values):.2f}"
    return f"{mean} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def table(rows: List[Dict[str, Any]]) -> str:
    """Return the rows of one test set as a Markdown table with what it rests on."""
    cells = []
    for row in rows:
        change, minutes = row["change"], row["training_minutes"]
        if change is None:
            compared = ["baseline", "", ""]
        elif change["relative"] is None:
            compared = ["-", "-", f"{change['p_better']:.2f}"]
        else:
            compared = [
                f"{100 * change['relative']:+.1f} %",
                f"[{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]",
                f"{change['p_better']:.2f}",
            ]
        cells.append(
            [
                row["system"],
                row["seeds"],
                _mean_sd(row["wer"]),
                _mean_sd(row["cer"]),
                *compared,
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['rtf']:.3f}",
                "-" if minutes is None else f"{minutes:.1f} min",
            ]
        )
    first = rows[0]
    return (
        f"### {first['test_set']}\n\n{markdown(HEADER, cells)}\n\n"
        f"{first['utterances']} utterances of {first['speakers']} speakers. WER and "
        "CER: mean ± standard deviation over the training seeds. Change: relative to "
        "the baseline, with a paired bootstrap over speakers, utterances and seeds; "
        "with one seed the interval does not know how much training varies. "
        "Parameters: of the deployed recogniser and its language model. RTF: seconds "
        f"of computing per second of audio on {first['device']}.\n"
    )
