#!/usr/bin/env bash
# 100 h of read books with transcripts: method D at its papers' scale.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --local_data_opts "--train_parts train-clean-100" \
    --train_set train \
    --valid_set dev \
    --test_sets "dev_clean dev_other test_clean test_other" \
    --nbpe 1000 \
    --speed_perturb_factors "0.9 1.1" \
    --overlap_opts "--report_only" \
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/large/train_asr_ctc.yaml conf/large/train_asr_kd_ctc_aed.yaml conf/large/train_asr_kd_ctc_interaed.yaml" \
    --control_config conf/large/train_asr_kd_ctc_interaed.yaml \
    --use_lm true \
    "$@"
