#!/usr/bin/env bash
# Try a configuration with learning rates and distiller weights times each factor, one seed,
# and print the table of the development set; no test set is decoded.
#   scripts/search.sh <run.sh> <config> "<learning-rate factors>" "<weight factors>" [options of run.sh]
#   NAMES="interaed lm_embedding" scripts/search.sh ...    # only these distillers' weights
# Without NAMES the weights are those of all distillers that read a teacher's targets: the others, such as
# attention_alignment, are the baseline's too. The variants lie in exp/search/; train the chosen one with --asr_configs.
set -euo pipefail

[ "$#" -ge 4 ] || { sed -n '2,/^set/s/^# //p' "$0" >&2; exit 2; }
run=$1 config=$2 lr_factors=$3 weight_factors=$4
shift 4
# shellcheck source=/dev/null
. ./path.sh

variants=$(python3 - "${config}" "${lr_factors}" "${weight_factors}" "${NAMES:-}" <<'PYTHON'
import sys
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path

import yaml

from espnet_lmkd.distillers.registry import get_class
from espnet_lmkd.errors import InputError, exits_cleanly


def name_of(entry):
    return entry.get("name") or entry["type"].split(".")[-1]


def scaled_names(config, entries, given):
    unknown = sorted(set(given) - {name_of(entry) for entry in entries})
    if unknown:
        choices = [name_of(entry) for entry in entries]
        raise InputError(f"NAMES: {config} has no distillers {unknown}; choose from {choices}")
    return given or [name_of(entry) for entry in entries if get_class(entry["type"]).targets]


@exits_cleanly
def main(cmd):
    config, lr_factors, weight_factors, given = cmd
    entries = yaml.safe_load(Path(config).read_text())["model_conf"].get("distillers", [])
    with redirect_stdout(sys.stderr):  # ESPnet prints when it is imported
        scaled = scaled_names(config, entries, given.split())
    tag = "_".join(["", *given.split(), "weight"])
    for lr, weight in product(lr_factors.split(), weight_factors.split()):
        conf = yaml.safe_load(Path(config).read_text())
        conf["optim_conf"]["lr"] *= float(lr)
        rates = conf.get("scheduler_conf", {}).get("warmup_lr_list", [])
        if rates:
            conf["scheduler_conf"]["warmup_lr_list"] = [float(lr) * x for x in rates]
        for entry in conf["model_conf"].get("distillers", []):
            if name_of(entry) not in scaled:
                continue
            old = entry.get("weight")
            if old is None:
                old = get_class(entry["type"]).default_weight
            if isinstance(old, dict):  # a ramp
                entry["weight"] = {**old, **{k: float(weight) * old[k] for k in ("start", "end")}}
            else:
                entry["weight"] = float(weight) * old
        name = f"{Path(config).stem}_lr{lr}" + (f"{tag}{weight}" if scaled else "")
        path = Path("exp/search", f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(conf, sort_keys=False))
        print(path)


main(sys.argv[1:])
PYTHON
)
"./${run#./}" "$@" --stage 11 --asr_configs "$(sort -u <<<"${variants}" | tr '\n' ' ')" --control_config "" \
    --seeds 1 --use_lm false --test_sets " " --skip_packing true --asr_suffix _search
