#!/usr/bin/env bash
# Sentences of a grammar spoken by espeak-ng: needs no download; the demo of the README.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --train_set train \
    --valid_set dev \
    --test_sets "test" \
    --nbpe 300 \
    --teacher_config conf/teacher/modernbert_student_small.yaml \
    --asr_configs "conf/small/train_asr_ctc.yaml conf/small/train_asr_kd_ctc_interaed.yaml" \
    --train_nj 2 \
    --skip_packing false \
    "$@"
