#!/usr/bin/env bash
# 8 utterances of real speech: does every stage run? The numbers mean nothing.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --train_set train_nodev \
    --valid_set train_dev \
    --test_sets "test" \
    --nj 1 \
    --token_type char \
    --overlap_opts "--report_only" \
    --teacher_config conf/teacher/bert_student_tiny.yaml \
    --asr_configs "conf/tiny/train_asr_ctc.yaml conf/tiny/train_asr_kd_ctc_interaed.yaml" \
    --use_lm true \
    --lm_config conf/tiny/train_lm_transformer.yaml \
    --skip_packing false \
    "$@"
