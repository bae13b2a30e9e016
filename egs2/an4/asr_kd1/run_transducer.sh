#!/usr/bin/env bash
# Method E: a transducer on a frozen Whisper encoder's outputs teaches small transducers, which hear filterbanks.
#   ./run_transducer.sh                  # all transcripts
#   PERCENT=20 ./run_transducer.sh       # a fifth of them; the teacher, which has no more, decodes the rest for the students
#   STREAMING=true ./run_transducer.sh   # streaming students of the same teacher, which is not
# Students begin with the encoders of CTC students of the same transcripts, with INIT=none from nothing. SPEECH_ENCODER=<folder or
# hub id>, SEEDS="1 2 3"; other options are those of asr_kd.sh, for the students. What is there is not trained again.
set -euo pipefail
cd "$(dirname "$0")"

encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
tag=""
[ "${STREAMING:=false}" = false ] || tag=_streaming
# 76 steps of 31 s of speech an epoch, the teacher's 34 of 78 s; with fewer transcripts (times) as many steps
percent=${PERCENT:-}
case ${percent} in
    "") times=1 nbpe=100 ;;
    20) times=5 nbpe=80 ;;
    *) echo "$0: PERCENT=${percent}: choose 20 or leave it empty" >&2; exit 2 ;;
esac
part=${percent:+_${percent}} rest=${percent:+rest_${percent}}
common=(--lang en --train_set "train${part}" --valid_set dev --test_sets "test" --nbpe "${nbpe}" --overlap_opts "--report_only"
    --local_data_opts "${percent:+--train_percents ${percent}}" --lm_train_text "data/local/lm_train${part}.txt" --inference_config conf/decode_transducer.yaml)
trained_for() { echo "--max_epoch $1 --keep_nbest_models 5 --scheduler_conf warmup_steps_list=[0,$2,$3]"; }

teacher=exp/asr_rnnt_$(basename "${encoder}")_en_bpe${nbpe}${part}_seed1/valid.cer_ctc.ave.pth
[ -f "${teacher}" ] || ./asr_kd.sh "${common[@]}" "$@" --stage 1 --stop_stage 13 --seeds 1 --asr_suffix "" --targets "" --control_config "" --unlabelled_sets "${rest}" \
    --speech_encoder "${encoder}" --speech_encoder_opts "${SPEECH_ENCODER_OPTS:---stack 4}" --asr_configs conf/frozen/train_asr_rnnt.yaml \
    --asr_args "$(trained_for $((30 * times)) 150 1000) --batch_bins 2000000"

. scripts/option_of.sh
SEEDS=$(option_of seeds "${SEEDS:-1 2 3}" "$@")
decoding=$(basename "$(option_of inference_config conf/decode_transducer.yaml "$@")" .yaml)
own=("$@" --targets "" --control_config "" --stop_stage 13)
students=("${common[@]}" --stage 7 --seeds "${SEEDS}")
case ${INIT:=ctc} in
    ctc)
        ./asr_kd.sh "${students[@]}" "${own[@]}" --skip_eval true --asr_suffix "" --asr_configs "conf/small/train_asr_ctc${tag}.yaml" \
            --asr_args "$(trained_for $((25 * times)) 300 1900)"
        students+=(--init_model "exp/asr_ctc${tag}_raw_en_bpe${nbpe}${part}_seedSEED/valid.cer_ctc.ave.pth")
        epochs=15 steps=(150 1150) suffix="" ;;
    none) epochs=25 steps=(300 1900) suffix=_from_nothing; students+=(--asr_suffix "${suffix}") ;;
    *) echo "$0: INIT=${INIT}: choose ctc or none" >&2; exit 2 ;;
esac
labelled=()
if [ -n "${rest}" ]; then  # what the transcripts give without the rest
    ./asr_kd.sh "${students[@]}" "${own[@]}" --asr_configs "conf/small/train_asr_rnnt${tag}.yaml" --asr_args "$(trained_for $((epochs * times)) "${steps[@]}")"
    for seed in ${SEEDS}; do labelled+=("rnnt${tag}_labelled=exp/asr_rnnt${tag}_raw_en_bpe${nbpe}${part}${suffix}_seed${seed}:${decoding}"); done
fi
kd=conf/small/train_asr_kd_rnnt${tag}_one_best_path.yaml
./asr_kd.sh "${students[@]}" --unlabelled_sets "${rest}" --speech_teacher "${teacher}" --targets teacher_path_topk \
    --asr_configs "conf/small/train_asr_rnnt${tag}.yaml ${kd}" --control_config "${kd}" --asr_args "$(trained_for "${epochs}" "${steps[@]}")" \
    --compare_with "${labelled[*]}" --comparison "compare_rnnt${tag}${part}" "$@"
