#!/usr/bin/env bash
# A transducer teacher, and a student that learns its path, also where it transcribes; then a teacher that hears a frozen
# encoder's outputs: does every stage run?
set -euo pipefail
cd "$(dirname "$0")"

teacher=exp/asr_rnnt_raw_en_char_nodev_seed1/valid.cer_ctc.ave.pth
common=(
    --lang en
    --train_set train_nodev
    --valid_set train_dev
    --test_sets "test"
    --unlabelled_sets train_dev
    --nj 1
    --token_type char
    --overlap_opts "--report_only"
    --inference_config conf/decode_transducer_greedy.yaml
    --pseudo_inference_config conf/decode_transducer_greedy.yaml
)

./asr_kd.sh "${common[@]}" --stop_stage 12 --targets "" --asr_configs conf/tiny/train_asr_rnnt.yaml "$@"
./asr_kd.sh "${common[@]}" --stage 7 --speech_teacher "${teacher}" --targets teacher_path_topk \
    --asr_configs "conf/tiny/train_asr_rnnt.yaml conf/tiny/train_asr_kd_rnnt_one_best_path.yaml" "$@"

. ./path.sh
encoder=exp/tiny_whisper
python3 local/tiny_whisper.py --out "${encoder}"
./asr_kd.sh "${common[@]}" --stage 3 --stop_stage 11 --targets "" --speech_encoder "${encoder}" --asr_configs conf/frozen/train_asr_rnnt.yaml \
    --asr_args "--input_size 64 --max_epoch 1" "$@"
./asr_kd.sh "${common[@]}" --unlabelled_sets "" --stage 7 --stop_stage 11 --speech_teacher "${teacher/_raw_/_$(basename "${encoder}")_}" \
    --targets teacher_path_topk --asr_configs conf/tiny/train_asr_kd_rnnt_one_best_path.yaml --asr_suffix _of_features "$@"
