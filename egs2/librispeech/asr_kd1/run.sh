#!/usr/bin/env bash
# 960 h of read books: method D.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --local_data_opts "--train_parts train-clean-100 train-clean-360 train-other-500" \
    --train_set train \
    --valid_set dev \
    --test_sets "dev_clean dev_other test_clean test_other" \
    --nbpe 5000 \
    --speed_perturb_factors "0.9 1.1" \
    --overlap_opts "--report_only" \
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/large/train_asr_ctc.yaml conf/large/train_asr_kd_ctc_aed.yaml conf/large/train_asr_kd_ctc_interaed.yaml" \
    --asr_args "--max_epoch 35 --batch_bins 40000000" \
    --use_lm true \
    "$@"
