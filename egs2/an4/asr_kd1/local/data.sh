#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh [options of local/data.py]
Write data/{train,dev,test} and data/local/lm_train.txt. db.sh or the environment say where
the corpus lies: AN4 (downloaded from CMU if empty)."

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
    exit 0
fi

# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./db.sh

if [ -z "${AN4}" ]; then
    AN4=downloads/an4/an4
    python3 local/download.py --out downloads
fi
python3 local/data.py --corpus "${AN4}" "$@"
