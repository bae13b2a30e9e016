#!/usr/bin/env bash
# Method E: a transducer on a frozen Whisper encoder's outputs teaches small transducers, which hear filterbanks.
#   ./run_transducer.sh                  # all transcripts
#   PERCENT=20 ./run_transducer.sh       # a fifth of them; the teacher, which has no more, decodes the rest for the students
#   STREAMING=true ./run_transducer.sh   # streaming students of the same teacher, which is not
# SPEECH_ENCODER=<folder or hub id>; other options are those of asr_kd.sh, for the students. A teacher that is there is not trained again.
set -euo pipefail
cd "$(dirname "$0")"

encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
student=rnnt
[ "${STREAMING:=false}" = false ] || student=rnnt_streaming
epochs=25 teacher_epochs=30 percent=${PERCENT:-}  # 76 steps of 31 s of speech, and 34 of 78 s
case ${percent} in
    "") ;;
    20) epochs=125 teacher_epochs=150 ;;  # as many steps
    *) echo "$0: PERCENT=${percent}: choose 20 or leave it empty" >&2; exit 2 ;;
esac
train_set=train${percent:+_${percent}}
rest=${percent:+rest_${percent}}
common=(--lang en --train_set "${train_set}" --valid_set dev --test_sets "test" --nbpe 100 --overlap_opts "--report_only"
    --local_data_opts "${percent:+--train_percents ${percent}}" --inference_config conf/decode_transducer_greedy.yaml)
trained_for() { echo "--max_epoch $1 --keep_nbest_models 5 --scheduler_conf warmup_steps_list=[0,$2,$3]"; }

teacher=exp/asr_rnnt_$(basename "${encoder}")_en_bpe100${percent:+_${percent}}_seed1/valid.cer_ctc.ave.pth
[ -f "${teacher}" ] || ./asr_kd.sh "${common[@]}" --stop_stage 13 --targets "" --unlabelled_sets "${rest}" --speech_encoder "${encoder}" \
    --speech_encoder_opts "${SPEECH_ENCODER_OPTS:---stack 4}" --asr_configs conf/frozen/train_asr_rnnt.yaml --asr_args "$(trained_for "${teacher_epochs}" 150 1000)"

students=("${common[@]}" --stage 7 --seeds "${SEEDS:=1 2 3}")
baselines=""
if [ -n "${rest}" ]; then  # what the transcripts give without the rest
    ./asr_kd.sh "${students[@]}" "$@" --stop_stage 13 --targets "" --control_config "" \
        --asr_configs "conf/small/train_asr_${student}.yaml" --asr_args "$(trained_for "${epochs}" 300 1900)"
    for seed in ${SEEDS}; do
        baselines+=" ${student}_labelled=exp/asr_${student}_raw_en_bpe100_${percent}_seed${seed}:decode_transducer_greedy"
    done
fi
./asr_kd.sh "${students[@]}" --unlabelled_sets "${rest}" --speech_teacher "${teacher}" --targets teacher_path_topk \
    --asr_configs "conf/small/train_asr_${student}.yaml conf/small/train_asr_kd_${student}_one_best_path.yaml" \
    --control_config "conf/small/train_asr_kd_${student}_one_best_path.yaml" --asr_args "$(trained_for 25 300 1900)" \
    --compare_with "${baselines}" --comparison "compare_${student}${percent:+_${percent}}" "$@"
