#!/usr/bin/env bash
# The recipe's stages on one part of AISHELL-1 and a CPU: 0.2 M parameters, a teacher of characters trained on the transcripts. It shows
# that all works, not what the method is worth.
#   AISHELL=<folder> ./run_sample.sh
set -euo pipefail
cd "$(dirname "$0")"

./run.sh \
    --speed_perturb_factors "" \
    --hidden_teacher "" \
    --teacher_config conf/teacher/bert_student_tiny.yaml \
    --asr_configs "conf/tiny/train_asr_cif.yaml conf/tiny/train_asr_kd_cif_hierarchical.yaml" \
    --control_config conf/tiny/train_asr_kd_cif_hierarchical.yaml \
    --asr_args "--max_epoch 5" \
    --inference_config conf/decode_att_greedy.yaml \
    "$@"
