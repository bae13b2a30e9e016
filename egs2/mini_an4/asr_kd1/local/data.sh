#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh [options of local/data.py]
Write data/{train_nodev,train_dev,test} and data/local/lm_train.txt from the eight utterances
that ESPnet's own tests use. db.sh or the environment say where they lie: MINI_AN4, else an
ESPnet checkout around this recipe, else the installed espnet (202611 brings them)."

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
    exit 0
fi

# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./db.sh

python3 local/data.py --source "${MINI_AN4}" "$@"
