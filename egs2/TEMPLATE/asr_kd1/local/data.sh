#!/usr/bin/env bash
# Write data/<set>/{wav.scp,text,utt2spk} for every set, and data/local/lm_train.txt:
# sentences for the language model, none of them of dev or test.
set -euo pipefail
echo "local/data.sh: write your corpus's data directories here" >&2
exit 1
