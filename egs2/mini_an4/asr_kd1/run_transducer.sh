#!/usr/bin/env bash
# A transducer teacher, and a student that learns its path, also where it transcribes: does every stage run?
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
