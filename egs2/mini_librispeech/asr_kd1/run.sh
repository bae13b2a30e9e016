#!/usr/bin/env bash
# 5 h of read books: baseline, method D on the final layer, on all, and its two controls.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --train_set train \
    --valid_set dev \
    --test_sets "test" \
    --nbpe 300 \
    --speed_perturb_factors "0.9 1.1" \
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/train_asr_ctc.yaml conf/train_asr_kd_ctc_aed.yaml conf/train_asr_kd_ctc_interaed.yaml conf/train_asr_kd_ctc_interaed_hard.yaml" \
    --control_config conf/train_asr_kd_ctc_interaed.yaml \
    --seeds "1 2 3" \
    --use_lm true \
    "$@"
