#!/usr/bin/env bash
# 5 h of read books on the outputs of a frozen Whisper encoder: the experiment for a CPU.
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
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/frozen/train_asr_ctc.yaml conf/frozen/train_asr_kd_ctc_aed.yaml conf/frozen/train_asr_kd_ctc_interaed.yaml conf/frozen/train_asr_kd_ctc_interaed_hard.yaml" \
    --control_config conf/frozen/train_asr_kd_ctc_interaed.yaml \
    --seeds "1 2 3" \
    --use_lm true \
    --comparison compare_frozen \
    --lm_config conf/small/train_lm_transformer.yaml \
    "$@"
