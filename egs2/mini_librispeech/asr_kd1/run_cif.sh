#!/usr/bin/env bash
# CIF recognisers on a frozen Whisper encoder's outputs, and what a BERT tells them (method B).
set -euo pipefail
cd "$(dirname "$0")"

./asr_kd.sh \
    --lang en \
    --train_set train \
    --valid_set dev \
    --test_sets "test" \
    --nbpe 1000 \
    --speech_encoder openai/whisper-base.en \
    --speech_encoder_opts "--stack 4" \
    --targets teacher_hidden \
    --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 \
    --extract_opts "--text_case lower --eos" \
    --target_tag _eos \
    --asr_configs "conf/frozen/train_asr_cif.yaml conf/frozen/train_asr_kd_cif_acd.yaml conf/frozen/train_asr_kd_cif_lrd.yaml conf/frozen/train_asr_kd_cif_hierarchical.yaml" \
    --control_config conf/frozen/train_asr_kd_cif_hierarchical.yaml \
    --seeds "1 2 3" \
    --comparison compare_cif \
    --inference_config conf/decode_cif.yaml \
    --inference_model valid.acc.ave.pth \
    "$@"
