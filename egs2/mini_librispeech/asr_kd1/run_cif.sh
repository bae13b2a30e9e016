#!/usr/bin/env bash
# CIF recognisers on a frozen Whisper encoder's outputs, and what a BERT tells them (method B). They begin with the
# encoders of CTC students, which are trained first where they are missing. Options are those of asr_kd.sh.
#   ./run_cif.sh              # 5 h of transcripts
#   PERCENT=30 ./run_cif.sh   # 1.4 h
set -euo pipefail
cd "$(dirname "$0")"

. local/percent.sh
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}  # folder or hub id
common=(
    "${parts[@]}"
    --lang en
    --valid_set dev
    --test_sets "test"
    --speech_encoder "${encoder}"
    --seeds "1 2 3"
)

train_ctc_students "${common[@]}" "$@"
[ "${percent}" != 30 ] || schedule="--max_epoch 10 --scheduler_conf warmup_steps_list=[0,150,700]"  # the encoder is trained
./asr_kd.sh "${common[@]}" --stage 6 \
    --targets teacher_hidden \
    --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 \
    --extract_opts "--text_case lower --eos" \
    --target_tag _eos \
    --init_model "$(ctc_init "${encoder}")" \
    --asr_configs "conf/frozen/train_asr_cif.yaml conf/frozen/train_asr_kd_cif_acd.yaml conf/frozen/train_asr_kd_cif_lrd.yaml conf/frozen/train_asr_kd_cif_hierarchical.yaml" \
    --control_config conf/frozen/train_asr_kd_cif_hierarchical.yaml \
    --asr_args "${schedule}" \
    --comparison "compare_cif${percent:+_${percent}}" \
    --inference_config conf/decode_att_greedy.yaml \
    --inference_model valid.acc.ave.pth \
    "$@"
