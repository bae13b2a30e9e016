#!/usr/bin/env bash
# Several methods on one student of a frozen Whisper encoder's outputs: a masked LM's token probabilities on CTC's frames
# and in auxiliary decoders (method D), a BERT's states (method A). PERCENT as in run_lm_embedding.sh, 30 by default.
#   ./run_stack.sh                  # CTC students
#   STUDENT=transducer ./run_stack.sh   # transducers; they begin with the encoders of CTC students, which are trained first
set -euo pipefail
cd "$(dirname "$0")"

export PERCENT=${PERCENT-30}
. local/percent.sh
case ${STUDENT:=ctc} in
    ctc)
        parts=(soft_label soft_label_interaed soft_label_lm_embedding soft_label_interaed_lm_embedding)
        kind=ctc options=() ;;
    transducer)
        parts=(soft_label lm_embedding soft_label_lm_embedding)
        kind=rnnt
        train_ctc_students "$@"
        options=(--stage 5 --asr_args "${rnnt_schedule}" --init_model "$(ctc_init "${SPEECH_ENCODER:=openai/whisper-base.en}")"
            --inference_config conf/decode_transducer_greedy.yaml) ;;
    *) echo "$0: STUDENT=${STUDENT}: choose ctc or transducer" >&2; exit 2 ;;
esac
configs=("${parts[@]/#/conf/frozen/train_asr_kd_${kind}_}")

./run_lm_embedding.sh \
    --targets "teacher_topk teacher_hidden" \
    --teacher_config conf/teacher/modernbert_student_base.yaml \
    --asr_configs "conf/frozen/train_asr_${kind}.yaml ${configs[*]/%/.yaml}" \
    --control_config "${configs[-1]}.yaml" \
    --comparison "compare_stack_${kind}${percent:+_${percent}}" \
    "${options[@]}" \
    "$@"
