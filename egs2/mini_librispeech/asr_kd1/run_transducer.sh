#!/usr/bin/env bash
# Method E: a transducer teacher on the outputs of a frozen Whisper encoder, then students that learn its best path.
#   ./run_transducer.sh              # 5 h of transcripts; students a tenth of the teacher's size on the same features
#   PERCENT=21 ./run_transducer.sh   # 1 h; the teacher decodes the other hours for the students
#   PERCENT=21 ./run_transducer.sh --unlabelled_sets "rest_21 unlabelled"   # and train-clean-extra, where it is
#   STUDENT=filterbank ./run_transducer.sh   # students that hear filterbanks and need no encoder of Whisper's; for a GPU
# Options are those of asr_kd.sh. A teacher that is there is not trained again; the frozen features' students begin with the
# encoders of CTC students, which are trained first where they are missing.
set -euo pipefail
cd "$(dirname "$0")"

. local/percent.sh
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}  # folder or hub id
teacher=exp/asr_rnnt_teacher_$(basename "${encoder}")_en_bpe${nbpe}${percent:+_${percent}}_seed1/valid.cer_ctc.ave.pth
common=(
    "${parts[@]}"
    --lang en
    --valid_set dev
    --test_sets "test"
    --comparison "compare_rnnt_${STUDENT:=frozen}${percent:+_${percent}}"
    --inference_config conf/decode_transducer.yaml
)
[ -z "${percent}" ] || common+=(--unlabelled_sets "rest_${percent}")

[ -f "${teacher}" ] || ./asr_kd.sh "${common[@]}" --speech_encoder "${encoder}" --asr_args "${schedule}" "$@" --stage 1 --stop_stage 13 --seeds 1 \
    --asr_suffix "" --init_model "" --control_config "" --targets "" --asr_configs conf/frozen/train_asr_rnnt_teacher.yaml
case ${STUDENT} in
    frozen)
        train_ctc_students --speech_encoder "${encoder}" "$@"
        student=(--speech_encoder "${encoder}" --asr_args "${all_rnnt_schedule}" --init_model "$(ctc_init "${encoder}")") configs=conf/frozen ;;
    filterbank) student=(--asr_args "--max_epoch 30 --scheduler_conf warmup_steps_list=[0,1000,16000]") configs=conf/small ;;
    *) echo "$0: STUDENT=${STUDENT}: choose frozen or filterbank" >&2; exit 2 ;;
esac
./asr_kd.sh "${common[@]}" "${student[@]}" --stage 7 --speech_teacher "${teacher}" --targets teacher_path_topk --seeds "1 2 3" \
    --asr_configs "${configs}/train_asr_rnnt.yaml ${configs}/train_asr_kd_rnnt_one_best_path.yaml" \
    --control_config "${configs}/train_asr_kd_rnnt_one_best_path.yaml" "$@"
