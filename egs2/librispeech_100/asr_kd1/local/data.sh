#!/usr/bin/env bash
set -euo pipefail

help_message="Usage: local/data.sh --train_parts ... [options of local/data.py]
Write data/{train,dev,dev_clean,dev_other,test_clean,test_other}, data/unlabelled where --unlabelled_parts
are given, and data/local/lm_train.txt. db.sh or the environment say where the corpus and the text lie:
LIBRISPEECH (OpenSLR 12), LIBRISPEECH_LM_TEXT (optional)."

if [ "${1:-}" = --help ]; then
    echo "${help_message}"
    exit 0
fi

# shellcheck source=/dev/null
. ./path.sh
# shellcheck source=/dev/null
. ./db.sh

if [ -z "${LIBRISPEECH}" ]; then
    echo "error: LIBRISPEECH is empty; unpack OpenSLR 12 (60 GB) and name its LibriSpeech folder in db.sh or the environment" >&2
    exit 1
fi
python3 local/data.py --corpus "${LIBRISPEECH}" --lm_text "${LIBRISPEECH_LM_TEXT}" "$@"
