"""The comparison as a picture: learning curves and error rates."""

import os
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from espnet_lmkd.scoring.experiment import Run


def draw_comparison(
    path, systems: Dict[str, List[Run]], rows: List[Dict[str, Any]]
) -> None:
    """Draw learning curves beside bars of the WER.

    A bar's whiskers are the 95 % interval of the change against the baseline, applied
    to the baseline's WER.

    Args:
        path: .png to write.
        systems: name -> runs.
        rows: of `compare_set`, for all test sets.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    test_sets = list(dict.fromkeys(row["test_set"] for row in rows))
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.2), layout="constrained"
    )
    colors = {name: f"C{index}" for index, name in enumerate(systems)}
    labelled, drawn = set(), set()
    for name, runs in systems.items():
        for run in runs:
            curve = run.curve()
            if curve is None or run.exp in drawn:
                continue
            drawn.add(run.exp)
            label = None if name in labelled else name
            labelled.add(name)
            left.plot(curve["epochs"], curve["values"], color=colors[name], label=label)
            left.set_ylabel(f"validation {curve['stat']}")
    left.set_xlabel("epoch")
    left.set_title("learning curves, a line per seed")
    if drawn:
        left.legend()

    width = 0.8 / len(systems)
    for index, name in enumerate(systems):
        own = [row for row in rows if row["system"] == name]
        heights = [np.mean(row["wer"]) for row in own]
        places = np.arange(len(test_sets)) + index * width - 0.4 + width / 2
        right.bar(places, heights, width * 0.9, color=colors[name], label=name)
        for place, row in zip(places, own):
            if row["change"] and row["change"]["relative"] is not None:
                base = next(
                    np.mean(other["wer"])
                    for other in rows
                    if other["baseline"] and other["test_set"] == row["test_set"]
                )
                ends = [base * (1 + row["change"][end]) for end in ("low", "high")]
                right.plot([place, place], ends, color="black", linewidth=1.5)
    right.set_xticks(range(len(test_sets)), test_sets)
    right.margins(y=0.3)  # room for the legend
    right.set_ylabel("WER %")
    right.set_title("WER, 95 % interval of the change")
    right.legend()

    save_figure(figure, path)


def save_figure(figure, path) -> None:
    """Write a figure as .png in one step that a kill cannot tear, and close it."""
    from matplotlib import pyplot

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    figure.savefig(unfinished, dpi=150, format="png")
    pyplot.close(figure)
    os.replace(unfinished, path)
