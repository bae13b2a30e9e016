#!/usr/bin/env bash
# Method E on the outputs of a frozen Whisper encoder: a transducer teacher, then students a tenth of its size.
#   ./run_transducer.sh              # 5 h of transcripts
#   PERCENT=21 ./run_transducer.sh   # 1 h; the teacher decodes the other hours for the students
#   PERCENT=21 ./run_transducer.sh --unlabelled_sets "rest_21 unlabelled"   # and train-clean-extra, where it is
# Options are those of asr_kd.sh. A teacher that is there is not trained again, and students begin at stage 7.
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
    --asr_args "${schedule}"
    --speech_encoder "${encoder}"
    --comparison "compare_rnnt${percent:+_${percent}}"
    --inference_config conf/decode_transducer.yaml
)
[ -z "${percent}" ] || common+=(--unlabelled_sets "rest_${percent}")

[ -f "${teacher}" ] || ./asr_kd.sh "${common[@]}" "$@" --stage 1 --stop_stage 13 --seeds 1 --control_config "" \
    --targets "" --asr_configs conf/frozen/train_asr_rnnt_teacher.yaml
./asr_kd.sh "${common[@]}" --stage 7 --speech_teacher "${teacher}" --targets teacher_path_topk --seeds "1 2 3" \
    --asr_configs "conf/frozen/train_asr_rnnt.yaml conf/frozen/train_asr_kd_rnnt_one_best_path.yaml" \
    --control_config conf/frozen/train_asr_kd_rnnt_one_best_path.yaml "$@"
