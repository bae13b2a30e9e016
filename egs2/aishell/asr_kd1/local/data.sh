#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh [options of local/data.py]
Write data/{train,dev,test} and data/local/lm_train.txt. db.sh or the environment say where
the corpus and the text lie: AISHELL (downloaded from OpenSLR 33 if empty), AISHELL_LM_TEXT."

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
    exit 0
fi

# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./db.sh

if [ -z "${AISHELL}" ]; then
    AISHELL=downloads/data_aishell
    python3 local/download.py --out downloads
fi
python3 local/data.py --corpus "${AISHELL}" --lm_text "${AISHELL_LM_TEXT}" "$@"
