#!/usr/bin/env bash
# 0.6 h of spelled names and numbers: a smoke table, 117 test utterances resolve little.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --train_set train \
    --valid_set dev \
    --test_sets "test" \
    --nbpe 100 \
    --overlap_opts "--report_only" \
    --asr_configs "conf/small/train_asr_ctc.yaml conf/an4/train_asr_kd_ctc_aed.yaml conf/an4/train_asr_kd_ctc_interaed.yaml" \
    --control_config conf/an4/train_asr_kd_ctc_interaed.yaml \
    --seeds "1 2 3" \
    --asr_args "--max_epoch 25 --keep_nbest_models 5 --scheduler_conf warmup_steps_list=[0,300,1900]" \
    --use_lm true \
    --lm_config conf/an4/train_lm_transformer.yaml \
    --train_nj 2 \
    "$@"
