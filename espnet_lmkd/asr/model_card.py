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

{needs}
It was exported with ESPnet {espnet}; older ones may name parameters differently.

{install}
{features}
```python
{usage}
```

The paths in config.yaml are relative to this folder: run there, or give the packed
.zip to ESPnet's `Speech2Text.from_pretrained`, which makes them absolute{first}.
{learnt}{results}"""
PLAIN = (
    "A plain ESPnet recogniser, distilled with espnet_lmkd {}, which it does not need."
)
WITH_PACK = "An ESPnet recogniser with parts of espnet_lmkd {}: {}."
OF_FEATURES = (
    "A plain ESPnet recogniser, distilled with espnet_lmkd {},\n"
    "which makes the features that it reads."
)
INSTALL_PACK = """    pip install "transformers>=5" peft
    pip install --no-deps <checkout>    # of espnet_lmkd {version}

espnet_lmkd is on no package index: it is installed from a checkout of its sources, or
from the wheel that `pip wheel --no-deps -w dist <checkout>` makes of one."""
FEATURES = """
It reads features, not speech: an array of (frames, {size}) an utterance. espnet_lmkd
makes them, `features/<utterance>.npy` in a new folder, of a data directory of 16 kHz
speech{by}:

    python3 -m espnet_lmkd.bin.dump_features --encoder {encoder} \\
        {options} --data_dir <data directory> --out <new folder>
"""
# What the card says of a transducer: recognition does not need the loss.
STAND_IN = """import sys, types

# ESPnet's transducers import warprnnt_pytorch, for training only; PyPI has it not.
sys.modules["warprnnt_pytorch"] = types.SimpleNamespace(RNNTLoss=lambda **conf: None)

"""
STOCK_USAGE = """{before}import {module}
from espnet2.bin.asr_inference import Speech2Text

speech2text = Speech2Text("config.yaml", "model.pth"{options})
speech = {read}
result = speech2text(speech){index}
print(result[0][0])"""
PACK_USAGE = """from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
from espnet_lmkd.asr.inputs import read_input

recogniser = Recogniser("config.yaml", "model.pth", SearchOptions({search}))
speech = read_input("{file}", recogniser.sample_rate)
print(recogniser(speech).text)"""
SEARCHES = {  # of students with parts of this pack, by their decoder
    "lmkd_cif": '"beam", ctc_weight=0.5',
    "lmkd_speech_prompt": '"speech_prompt", beam_size=1',
    "transducer": '"transducer", beam_size=5',
}


def model_card(exp: Path, config: Dict[str, Any], exported: Dict[str, Any]) -> str:
    """Write the card of an experiment.

    Args:
        exp: the experiment; its results come from the comparisons beside it (stage 16).
        config: its config.yaml, whose stores say who taught it.
        exported: the exported configuration.
    """
    espnet = metadata.version("espnet")
    install = [f'    pip install "espnet>={espnet}"']
    with_pack, of_features = exported["model"] == "lmkd", _reads_features(exported)
    if with_pack or of_features:
        install.append(INSTALL_PACK.format(version=__version__))
    needs, first = (OF_FEATURES if of_features else PLAIN).format(__version__), ""
    if with_pack:
        ours = sorted(
            f"{key}: {value}"
            for key, value in exported.items()
            if isinstance(value, str) and value.startswith("lmkd_")
        )
        needs = WITH_PACK.format(__version__, ", ".join(ours))
        first = ",\nafter `import espnet_lmkd.asr.task`"
    elif exported.get("decoder") == "transducer":
        first = ",\nafter the lines above that stand in for warprnnt_pytorch"
    return CARD.format(
        name=exp.name,
        needs=needs,
        espnet=espnet,
        install="\n".join(install),
        features=_features(config, exported["input_size"]) if of_features else "",
        usage=_usage_with_pack(exported) if with_pack else _stock_usage(exported),
        first=first,
        learnt=_learnt(config),
        results=_results(exp),
    )


def _features(config: Dict[str, Any], size: int) -> str:
    """Say how features are made, as far as the training's folders have it."""
    for part in ("train", "valid"):
        triples = config.get(f"{part}_data_path_and_name_and_type") or []
        for path in [Path(path) for path, name, _ in triples if name == "speech"]:
            if not path.with_name("speech_encoder.json").is_file():
                continue
            record = json.loads(
                path.with_name("speech_encoder.json").read_text(encoding="utf-8")
            )
            commit = f"--revision {record['commit']} " if record["commit"] else ""
            options = f"{commit}--stack {record['stack']} --dtype {record['dtype']}"
            encoder = record["source"]
            return FEATURES.format(size=size, by="", encoder=encoder, options=options)
    by = ", by the encoder and the stack of the training, which left no record of them"
    encoder, options = "<encoder>", "--stack <stack>"
    return FEATURES.format(size=size, by=by, encoder=encoder, options=options)


def _reads_features(exported: Dict[str, Any]) -> bool:
    """Whether it reads what a frozen speech encoder puts out; 1 is a waveform."""
    return exported.get("input_size") not in (None, 1)


def _only_ctc(exported: Dict[str, Any]) -> bool:
    return exported["model_conf"].get("ctc_weight", 0.5) == 1.0


def _usage_with_pack(exported: Dict[str, Any]) -> str:
    search = '"beam", ctc_weight=0.3'
    if exported.get("decoder") in SEARCHES:
        search = SEARCHES[exported["decoder"]]
    elif _only_ctc(exported):
        search = ""
    file = "features.npy" if _reads_features(exported) else "speech.wav"
    return PACK_USAGE.format(search=search, file=file)


def _stock_usage(exported: Dict[str, Any]) -> str:
    interctc = (exported.get("encoder_conf") or {}).get("interctc_layer_idx")
    before, options = "", ""
    if exported.get("decoder") == "transducer":
        before, options = STAND_IN, ", beam_size=5"
    elif _only_ctc(exported):
        options = ", ctc_weight=1.0"
    module, read = "soundfile", 'soundfile.read("speech.wav")[0]'
    if _reads_features(exported):
        # The one input that ESPnet does not make itself.
        module = "numpy"
        read = 'numpy.load("features.npy")  # by espnet_lmkd.bin.dump_features'
    return STOCK_USAGE.format(
        before=before,
        module=module,
        options=options,
        read=read,
        index="[0]  # [1] holds the intermediate layers' results" if interctc else "",
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
