#!/usr/bin/env bash
# 178 h of read Mandarin: CIF recognisers and what a Chinese BERT tells them.
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang zh \
    --train_set train \
    --valid_set dev \
    --test_sets "test" \
    --token_type char \
    --speed_perturb_factors "0.9 1.0 1.1" \
    --targets teacher_hidden \
    --hidden_teacher google-bert/bert-base-chinese \
    --extract_opts "--eos" \
    --target_tag _eos \
    --overlap_opts "--report_only" \
    --asr_configs "conf/train_asr_cif.yaml conf/train_asr_kd_cif_acd.yaml conf/train_asr_kd_cif_lrd.yaml conf/train_asr_kd_cif_hierarchical.yaml" \
    --control_config conf/train_asr_kd_cif_hierarchical.yaml \
    --inference_config conf/decode_cif.yaml \
    --inference_model valid.acc.ave.pth \
    "$@"
