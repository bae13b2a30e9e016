#!/usr/bin/env bash
# Method E: a wav2vec 2.0 fine-tuned as a transducer on 100 h, then students that learn its path there and on 860 h without transcripts.
set -euo pipefail
cd "$(dirname "$0")"

teacher=exp/asr_rnnt_teacher_raw_en_bpe1000_seed1/valid.cer_ctc.ave.pth
common=(
    --lang en
    --local_data_opts "--train_parts train-clean-100 --unlabelled_parts train-clean-360 train-other-500"
    --train_set train
    --valid_set dev
    --test_sets "dev_clean dev_other test_clean test_other"
    --unlabelled_sets unlabelled
    --comparison compare_rnnt
    --nbpe 1000
    --overlap_opts "--report_only"
    --inference_config conf/decode_transducer.yaml
)

[ -f "${teacher}" ] || ./asr_kd.sh "${common[@]}" "$@" --stage 1 --stop_stage 13 --seeds 1 --control_config "" \
    --targets "" --asr_configs conf/large/train_asr_rnnt_teacher.yaml

. scripts/option_of.sh
decoding=$(basename "$(option_of inference_config conf/decode_transducer.yaml "$@")" .yaml)
last=$(option_of stop_stage 13 "$@")
kd=conf/large/train_asr_kd_rnnt_one_best_path.yaml
common+=(--stage 7 --speech_teacher "${teacher}" --targets teacher_path_topk --asr_configs "conf/large/train_asr_rnnt.yaml ${kd}")
# What the transcripts give without the rest, and E there: the paper's other student.
./asr_kd.sh "${common[@]}" "$@" --unlabelled_sets "" --control_config "" --asr_suffix "" --stop_stage $((last < 13 ? last : 13))
labelled=()
for name in rnnt kd_rnnt_one_best_path; do
    for seed in $(option_of seeds 1 "$@"); do labelled+=("${name}_labelled=exp/asr_${name}_raw_en_bpe1000_seed${seed}:${decoding}"); done
done
./asr_kd.sh "${common[@]}" --control_config "${kd}" --compare_with "${labelled[*]}" "$@"
