#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh [options of local/data.py]
Write data/{train,dev,test}, data/unlabelled where train-clean-extra is present, and
data/local/lm_train.txt. --train_percents 21 adds data/train_21, 1 h, data/rest_21 to take for
unlabelled, and data/local/lm_train_21.txt. db.sh or the environment say where the corpus and the text
lie: MINI_LIBRISPEECH (downloaded from OpenSLR 31 if empty), LIBRISPEECH_LM_TEXT (optional)."

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
    exit 0
fi

# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./db.sh

if [ -z "${MINI_LIBRISPEECH}" ]; then
    MINI_LIBRISPEECH=downloads/LibriSpeech
    python3 local/download.py --out downloads
fi
python3 local/data.py --corpus "${MINI_LIBRISPEECH}" --lm_text "${LIBRISPEECH_LM_TEXT}" "$@"
