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

./asr_kd.sh "${common[@]}" "$@" --skip_eval true --asr_suffix "" --control_config "" --targets "" --asr_configs conf/frozen/train_asr_ctc.yaml --asr_args "${schedule} ${ctc_rate}"
[ "${percent}" != 30 ] || schedule="--max_epoch 10 --scheduler_conf warmup_steps_list=[0,150,700]"  # the encoder is trained
./asr_kd.sh "${common[@]}" --stage 6 \
    --targets teacher_hidden \
    --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 \
    --extract_opts "--text_case lower --eos" \
    --target_tag _eos \
    --init_model "exp/asr_ctc_$(basename "${encoder}")_en_bpe${nbpe}${percent:+_${percent}}_seedSEED/valid.cer_ctc.ave.pth" \
    --asr_configs "conf/frozen/train_asr_cif.yaml conf/frozen/train_asr_kd_cif_acd.yaml conf/frozen/train_asr_kd_cif_lrd.yaml conf/frozen/train_asr_kd_cif_hierarchical.yaml" \
    --control_config conf/frozen/train_asr_kd_cif_hierarchical.yaml \
    --asr_args "${schedule}" \
    --comparison "compare_cif${percent:+_${percent}}" \
    --inference_config conf/decode_att_greedy.yaml \
    --inference_model valid.acc.ave.pth \
    "$@"
