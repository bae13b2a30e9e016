#!/usr/bin/env bash
# Method A: a BERT's states taught to hybrid CTC/attention students.
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
    --targets teacher_hidden \
    --hidden_teacher google-bert/bert-base-uncased \
    --extract_opts "--text_case lower" \
    --asr_configs "conf/large/train_asr_aed.yaml conf/large/train_asr_kd_aed_lm_embedding.yaml" \
    --control_config conf/large/train_asr_kd_aed_lm_embedding.yaml \
    --comparison compare_lm_embedding \
    --inference_config conf/decode_att.yaml \
    --inference_model valid.acc.ave.pth \
    "$@"
