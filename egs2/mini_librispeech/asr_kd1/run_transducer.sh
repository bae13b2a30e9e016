#!/usr/bin/env bash
# Method E: a transducer teaches transducers by its best path, on the outputs of a frozen Whisper encoder.
#   ./run_transducer.sh              # 5 h of transcripts; a teacher ten times as large as its students
#   PERCENT=21 ./run_transducer.sh   # 1 h; the teacher decodes the other hours for the students
#   PERCENT=21 ./run_transducer.sh --unlabelled_sets "rest_21 unlabelled"   # and train-clean-extra, where it is
#   STACK=true ./run_transducer.sh   # beside E also method A and soft labels on CTC's frames, on one student
#   STUDENT=small ./run_transducer.sh   # students of 2 M parameters that hear filterbanks and need no encoder of Whisper's; medium: of 5 M; for a GPU
#   STUDENT=small STREAMING=true ./run_transducer.sh   # streaming ones
# SPEECH_TEACHER=<checkpoint of a transducer of this recipe> takes the place of the large one, SPEECH_ENCODER=<folder or hub id>,
# SEEDS="1 2 3"; options are those of asr_kd.sh, for the students, e.g. --pseudo_lm: an LM that helps to decode. What is there is
# not trained again; the frozen features' students begin with the encoders of CTC students, which are trained first where they are missing.
set -euo pipefail
cd "$(dirname "$0")"

. local/percent.sh
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
rest=${percent:+rest_${percent}}
common=("${parts[@]}" --lang en --valid_set dev --test_sets "test" --inference_config conf/decode_transducer_greedy.yaml)

. scripts/option_of.sh
SEEDS=$(option_of seeds "${SEEDS:-1 2 3}" "$@")
decoding=$(basename "$(option_of inference_config conf/decode_transducer_greedy.yaml "$@")" .yaml)
last=$(option_of stop_stage 13 "$@")
unlabelled=$(option_of unlabelled_sets "${rest}" "$@")

large=(--unlabelled_sets "${rest}" --speech_encoder "${encoder}" --asr_args "${schedule}" "$@" --seeds 1 --asr_suffix "" --init_model "" --control_config ""
    --targets "" --asr_configs conf/frozen/train_asr_rnnt_teacher.yaml)
./asr_kd.sh "${common[@]}" "${large[@]}" --stop_stage 3  # what teacher and students hear
if [ -z "${SPEECH_TEACHER:-}" ]; then
    SPEECH_TEACHER=exp/asr_rnnt_teacher_$(basename "${encoder}")_en_bpe${nbpe}${percent:+_${percent}}_seed1/valid.cer_ctc.ave.pth
    [ -f "${SPEECH_TEACHER}" ] || ./asr_kd.sh "${common[@]}" "${large[@]}" --stage 4 --stop_stage 13
fi

common+=(--stage 5 --seeds "${SEEDS}")
STACK=${STACK:-false} tag="" suffix=""
[ "${STREAMING:=false}" = false ] || tag=_streaming
case ${STUDENT:=frozen} in
    frozen)
        train_ctc_students --speech_encoder "${encoder}" --seeds "${SEEDS}" "$@"
        features=$(basename "${encoder}") configs=conf/frozen labelled_schedule=${rnnt_schedule}
        common+=(--speech_encoder "${encoder}" --init_model "$(ctc_init "${encoder}")") schedule=${all_rnnt_schedule}
        ! "${STREAMING}" || { echo "$0: STREAMING=true has students of STUDENT=small or medium only" >&2; exit 2; } ;;
    small | medium)
        steps="[0,1000,17800]" features=raw configs=conf/${STUDENT} suffix=${STUDENT#small} suffix=${suffix:+_${suffix}}
        schedule="--max_epoch 30 --scheduler_conf warmup_steps_list=${steps}"
        labelled_schedule="--max_epoch $((3000 / ${percent:-100})) --scheduler_conf warmup_steps_list=${steps}"
        ! "${STACK}" || { echo "$0: STACK=true has students of STUDENT=frozen only" >&2; exit 2; } ;;
    *) echo "$0: STUDENT=${STUDENT}: choose frozen, small or medium" >&2; exit 2 ;;
esac

labelled=()
if [ -n "${unlabelled}" ]; then  # what the transcripts give without the rest
    ./asr_kd.sh "${common[@]}" "$@" --unlabelled_sets "" --targets "" --control_config "" --stop_stage $((last < 13 ? last : 13)) --asr_suffix "${suffix}" \
        --asr_args "${labelled_schedule}" --asr_configs "${configs}/train_asr_rnnt${tag}.yaml"
    for seed in ${SEEDS}; do labelled+=("rnnt${tag}_labelled=exp/asr_rnnt${tag}_${features}_en_bpe${nbpe}${percent:+_${percent}}${suffix}_seed${seed}:${decoding}"); done
else
    schedule=${labelled_schedule}
fi

kd=("${configs}/train_asr_kd_rnnt${tag}_one_best_path.yaml")
targets=teacher_path_topk comparison=compare_rnnt_${STUDENT}${tag}${percent:+_${percent}}
if "${STACK}"; then
    kd+=(conf/frozen/train_asr_kd_rnnt_one_best_path_lm_embedding.yaml conf/frozen/train_asr_kd_rnnt_soft_label_one_best_path_lm_embedding.yaml)
    targets+=" teacher_hidden teacher_topk" comparison+=_stack
    common+=(--teacher_config conf/teacher/modernbert_student_base.yaml --hidden_teacher sentence-transformers/all-MiniLM-L6-v2 --extract_opts "--text_case lower")
fi
./asr_kd.sh "${common[@]}" --asr_suffix "${suffix}" --unlabelled_sets "${rest}" --asr_args "${schedule}" --speech_teacher "${SPEECH_TEACHER}" --targets "${targets}" \
    --asr_configs "${configs}/train_asr_rnnt${tag}.yaml ${kd[*]}" --control_config "${kd[0]}" --compare_with "${labelled[*]}" --comparison "${comparison}" "$@"
