#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --train_set train --valid_set dev --test_sets "test" \
    --asr_configs "conf/train_asr_ctc.yaml conf/train_asr_kd_ctc_interaed.yaml" \
    "$@"
