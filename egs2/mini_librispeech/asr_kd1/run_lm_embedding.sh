#!/usr/bin/env bash
# Method A on the outputs of a frozen Whisper encoder: a BERT's states taught to a CTC student, whose tokens are its own.
#   ./run_lm_embedding.sh              # 5 h of transcripts
#   PERCENT=30 ./run_lm_embedding.sh   # 1.4 h
#   PERCENT=10 ./run_lm_embedding.sh   # half an hour
set -euo pipefail
cd "$(dirname "$0")"

. local/percent.sh

./asr_kd.sh \
    "${parts[@]}" \
    --lang en \
    --valid_set dev \
    --test_sets "test" \
    --speech_encoder "${SPEECH_ENCODER:-openai/whisper-base.en}" \
    --targets teacher_hidden \
    --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 \
    --extract_opts "--text_case lower" \
    --asr_configs "conf/frozen/train_asr_ctc.yaml conf/frozen/train_asr_kd_ctc_lm_embedding.yaml" \
    --control_config conf/frozen/train_asr_kd_ctc_lm_embedding.yaml \
    --seeds "1 2 3" \
    --asr_args "${ctc_schedule}" \
    --comparison "compare_lm_embedding${percent:+_${percent}}" \
    "$@"
