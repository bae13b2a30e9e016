# shellcheck shell=bash disable=SC2154
# Source it in a recipe's run_speech_prompt.sh with its options in "$@": trains and compares CTC, attention decoder,
# frozen LM and LM with LoRA on the features of speech_encoder. Wants llm, encoder, nbpe, the array common (options of
# asr_kd.sh), and how long CTC (ctc_short), attention decoder (short) and LMs (llm_short) are trained; part ends the names of experiments on a part of
# the transcripts. Attention decoder and LMs begin with the encoder of the CTC student of their seed. BRIDGE=conv, ctc, cif or posterior: between encoder
# and LM. LM_DTYPE=bfloat16: of the LM's own weights, half the memory, and faster where the processor multiplies it. LMS: "frozen lora".
# JOINT=true: the LMs are decoded once more, together with the CTC student of their seed.
# ADAPT=<checkpoint of an LM with LoRA, of another domain>: goes on with it instead; encoder and LM stay as they are, its bridge and LoRA are trained.
read_by() { echo --inference_model valid.acc.ave.pth --inference_config "$1"; }

bridge_of() {  # an experiment, as options of a training
    python3 -c 'import json, sys, yaml
conf = yaml.safe_load(open(sys.argv[1]))
decoder = conf["decoder_conf"]
bridge = {**(decoder.get("bridge_conf") or {}), **decoder["config"].get("bridge", {})}
print("--decoder_conf bridge=" + decoder.get("bridge", "conv"), "--decoder_conf bridge_conf=" + json.dumps(bridge, separators=(",", ":")),
      "--model_conf ctc_weight=" + str(conf["model_conf"]["ctc_weight"]))' "$1/config.yaml"
}

ctc_student=exp/asr_ctc_$(basename "${encoder}")_en_bpe${nbpe}${part}_seedSEED/valid.cer_ctc.ave.pth
case ${BRIDGE:=conv} in
    conv) suffix="" bridge="" ;;
    ctc) suffix=_ctc bridge="--decoder_conf bridge=ctc --decoder_conf bridge_conf={} --model_conf ctc_weight=0.3" ;;
    posterior) suffix=_posterior bridge="--decoder_conf bridge=posterior --decoder_conf bridge_conf={\"student\":\"${ctc_student}\",\"text_case\":\"lower\"}" ;;
    cif) suffix=_cif bridge="--decoder_conf bridge=cif --decoder_conf bridge_conf={}" ;;
    *) echo "$0: BRIDGE=${BRIDGE}: choose conv, ctc, cif or posterior" >&2; exit 2 ;;
esac
# shellcheck source=option_of.sh
. scripts/option_of.sh
init=${ctc_student}:encoder:encoder comparison=compare_speech_prompt${part}
read -r -a lms <<<"${LMS:-frozen lora}"
if [ -n "${ADAPT:=}" ]; then
    lms=(lora) init=${ADAPT} suffix=_adapted
    # shellcheck source=../path.sh
    . ./path.sh
    bridge="$(bridge_of "$(dirname "${ADAPT}")") --freeze_param encoder ctc"
fi
llm_args="$(option_of asr_args "${llm_short}" "$@") --decoder_conf lm_dtype=${LM_DTYPE:=float32} ${bridge}"

own=(--stop_stage 13 --asr_suffix "" --nbpe "${nbpe}")  # whatever the options are, which are for the LMs
./asr_kd.sh "${common[@]}" "$@" "${own[@]}" --asr_args "${ctc_short}" --init_model "" --asr_configs conf/frozen/train_asr_ctc.yaml \
    --inference_model valid.cer_ctc.ave.pth --inference_config conf/decode_ctc_greedy.yaml
# shellcheck disable=SC2046
./asr_kd.sh "${common[@]}" --stage 11 "$@" "${own[@]}" --asr_args "${short}" --init_model "${ctc_student}" --asr_configs conf/frozen/train_asr_aed.yaml $(read_by conf/decode_att.yaml)

systems=()
for system in ctc:decode_ctc_greedy aed:decode_att; do
    for exp in exp/asr_"${system%%:*}_$(basename "${encoder}")_en_bpe${nbpe}${part}"_seed[0-9]*; do
        systems+=("${system%%:*}=${exp}:${system##*:}")
    done
done
configs=("${lms[@]/#/conf/llm/train_asr_whisper_smollm2_}")
llm_opts=("${common[@]}" --token_type hugging_face --llm "${llm}" --text_case lower --init_model "${init}" --asr_suffix "${suffix}" --inference_model valid.acc.ave.pth
    --asr_configs "${configs[*]/%/.yaml}" --compare_with "${systems[*]}")
./asr_kd.sh "${llm_opts[@]}" --stage 5 --comparison "${comparison}" --inference_config conf/llm/decode_speech_prompt.yaml "$@" --asr_args "${llm_args}"
if "${JOINT:-false}"; then
    ./asr_kd.sh "${llm_opts[@]}" "$@" --stage 12 --comparison "${comparison}_joint" --inference_config conf/llm/decode_speech_prompt_joint.yaml --inference_args "--student ${ctc_student}"
fi
