#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh [options of local/data.py]
Make data/{train,dev,test} and data/local/lm_train.txt: sentences of a grammar, spoken by
espeak-ng (pip install espeakng-loader) in many voices with noise. The options:"

# shellcheck source=/dev/null
. ./path.sh

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
fi
python3 local/data.py "$@"
