#!/usr/bin/env bash
# Several methods on one CTC student of a frozen Whisper encoder's outputs: a masked LM's token probabilities on CTC's frames
# and in auxiliary decoders (method D), a BERT's states (method A). PERCENT as in run_lm_embedding.sh.
set -euo pipefail
cd "$(dirname "$0")"

stacks=$(echo conf/frozen/train_asr_kd_ctc_soft_label{_interaed,_lm_embedding,_interaed_lm_embedding}.yaml)
PERCENT=${PERCENT:-30} ./run_lm_embedding.sh \
    --targets "teacher_topk teacher_hidden" \
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/frozen/train_asr_ctc.yaml conf/frozen/train_asr_kd_ctc_soft_label.yaml ${stacks}" \
    --control_config conf/frozen/train_asr_kd_ctc_soft_label_interaed_lm_embedding.yaml \
    --comparison compare_stack \
    "$@"
