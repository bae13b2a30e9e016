"""The README.md of an exported student: how to use it, what it learnt, how well."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List

from espnet_lmkd import __version__
from espnet_lmkd.scoring.comparison import table
from espnet_lmkd.targets.store import read_manifest

CARD = """---
library_name: espnet
tags: [espnet, audio, automatic-speech-recognition, knowledge-distillation]
---

# {name}

A plain ESPnet recogniser, distilled with espnet_lmkd {version}, which it does not need.
It was exported with ESPnet {espnet}; older ones may name parameters differently.

    pip install "espnet>={espnet}"

```python
{before}import soundfile
from espnet2.bin.asr_inference import Speech2Text

speech2text = Speech2Text("config.yaml", "model.pth"{options})
speech, rate = soundfile.read("speech.wav")
result = speech2text(speech){index}
print(result[0][0])
```

The paths in config.yaml are relative to this folder: run there, or give the packed
.zip to ESPnet, which makes them absolute.
{learnt}{results}"""
# What the card says of a transducer: recognition does not need the loss.
STAND_IN = """import sys, types

# ESPnet's transducers import warprnnt_pytorch, for training only; PyPI has it not.
sys.modules["warprnnt_pytorch"] = types.SimpleNamespace(RNNTLoss=lambda **conf: None)

"""


def model_card(exp: Path, config: Dict[str, Any], stock: Dict[str, Any]) -> str:
    """Write the card of an experiment.

    Args:
        exp: the experiment; its results come from the comparisons beside it (stage 16).
        config: its config.yaml, whose stores say who taught it.
        stock: the exported configuration.
    """
    interctc = (stock.get("encoder_conf") or {}).get("interctc_layer_idx")
    before, options = "", ""
    if stock.get("decoder") == "transducer":
        before, options = STAND_IN, ", beam_size=5"
    elif stock["model_conf"].get("ctc_weight", 0.5) == 1.0:
        options = ", ctc_weight=1.0"
    return CARD.format(
        name=exp.name,
        version=__version__,
        espnet=metadata.version("espnet"),
        before=before,
        options=options,
        index="[0]  # [1] holds the intermediate layers' results" if interctc else "",
        learnt=_learnt(config),
        results=_results(exp),
    )


def _learnt(config: Dict[str, Any]) -> str:
    distillers = config["model_conf"].get("distillers") or []
    lines = [
        f"- `{entry['type']}`, weight {entry.get('weight', 1.0)}"
        for entry in distillers
    ]
    for store in config.get("target_store") or []:
        if not Path(store, "manifest.json").is_file():
            lines.append(f"- taught by what {store} held, which is gone")
            continue
        manifest = read_manifest(store)
        teacher = manifest["teacher"]
        lines.append(
            f"- {', '.join(manifest['targets'])} of {teacher['id']}, "
            f"revision {teacher['revision'] or 'local'}, "
            f"weights {teacher['weights_sha256'][:16]}"
            + ("" if manifest["shuffled_seed"] is None else ", shuffled")
        )
    if not lines:
        return ""
    lines.append("\nIts licence is bound by that of its data and of its teachers.")
    return "\n## What it learnt from\n\n" + "\n".join(lines) + "\n"


def _results(exp: Path) -> str:
    """Return the comparisons of the neighbouring folders that hold the experiment."""
    parts = []
    for path in sorted(exp.parent.glob("compare*/compare.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        if any(exp.name == _name(e) for row in rows for e in row["experiments"]):
            parts += _tables(rows)
    return "\n## Results\n\n" + "\n".join(parts) if parts else ""


def _name(experiment: str) -> str:
    return Path(experiment.rpartition(":")[0]).name


def _tables(rows: List[Dict[str, Any]]) -> List[str]:
    sets = list(dict.fromkeys(row["test_set"] for row in rows))
    return [table([row for row in rows if row["test_set"] == name]) for name in sets]
