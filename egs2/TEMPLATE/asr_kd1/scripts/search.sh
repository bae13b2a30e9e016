#!/usr/bin/env bash
# Try a configuration with learning rates and distiller weights times each factor, one seed,
# and print the table of the development set; no test set is decoded.
#   scripts/search.sh <run.sh> <config> "<learning-rate factors>" "<weight factors>" [options of run.sh]
# The variants lie in exp/search/; train the chosen one with --asr_configs.
set -euo pipefail

[ "$#" -ge 4 ] || { sed -n 's/^# //p' "$0" >&2; exit 2; }
run=$1 config=$2 lr_factors=$3 weight_factors=$4
shift 4
# shellcheck source=/dev/null
. ./path.sh

variants=$(python3 - "${config}" "${lr_factors}" "${weight_factors}" <<'PYTHON'
import sys
from itertools import product
from pathlib import Path

import yaml

config, lr_factors, weight_factors = sys.argv[1:]
for lr, weight in product(lr_factors.split(), weight_factors.split()):
    conf = yaml.safe_load(Path(config).read_text())
    conf["optim_conf"]["lr"] *= float(lr)
    rates = conf.get("scheduler_conf", {}).get("warmup_lr_list", [])
    if rates:
        conf["scheduler_conf"]["warmup_lr_list"] = [float(lr) * x for x in rates]
    distillers = conf["model_conf"].get("distillers", [])
    for distiller in distillers:
        given = distiller.get("weight", 1.0)
        if isinstance(given, dict):  # a ramp
            given = {**given, **{k: float(weight) * given[k] for k in ("start", "end")}}
        distiller["weight"] = given if isinstance(given, dict) else float(weight) * given
    name = f"{Path(config).stem}_lr{lr}" + (f"_weight{weight}" if distillers else "")
    path = Path("exp/search", f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(conf, sort_keys=False))
    print(path)
PYTHON
)
"./${run#./}" "$@" --stage 11 --asr_configs "$(sort -u <<<"${variants}" | tr '\n' ' ')" --control_config "" \
    --seeds 1 --use_lm false --test_sets " " --skip_packing true --asr_suffix _search
