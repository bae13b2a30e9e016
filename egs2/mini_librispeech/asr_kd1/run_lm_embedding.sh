#!/usr/bin/env bash
# Method A on the outputs of a frozen Whisper encoder: a BERT's states taught to a CTC student, whose tokens are its own.
#   ./run_lm_embedding.sh              # 5 h of transcripts
#   PERCENT=30 ./run_lm_embedding.sh   # 1.4 h
#   PERCENT=10 ./run_lm_embedding.sh   # half an hour
set -euo pipefail
cd "$(dirname "$0")"

percent=${PERCENT:-}
case ${percent} in  # fewer transcripts: a smaller vocabulary and more epochs of fewer steps
    "") nbpe=1000 schedule="" ;;
    30) nbpe=500 schedule="--max_epoch 14 --scheduler_conf warmup_steps_list=[0,150,1000]" ;;
    10) nbpe=300 schedule="--max_epoch 30 --scheduler_conf warmup_steps_list=[0,120,720]" ;;
    *) echo "$0: PERCENT=${percent}: choose 10, 30 or leave it empty" >&2; exit 2 ;;
esac

./asr_kd.sh \
    --lang en \
    --train_set "train${percent:+_${percent}}" \
    --valid_set dev \
    --test_sets "test" \
    --local_data_opts "${percent:+--train_percents 10 30}" \
    --lm_train_text "data/local/lm_train${percent:+_${percent}}.txt" \
    --nbpe "${nbpe}" \
    --speech_encoder openai/whisper-base.en \
    --targets teacher_hidden \
    --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 \
    --extract_opts "--text_case lower" \
    --asr_configs "conf/frozen/train_asr_ctc.yaml conf/frozen/train_asr_kd_ctc_lm_embedding.yaml" \
    --control_config conf/frozen/train_asr_kd_ctc_lm_embedding.yaml \
    --seeds "1 2 3" \
    --asr_args "${schedule}" \
    --comparison "compare_lm_embedding${percent:+_${percent}}" \
    "$@"
