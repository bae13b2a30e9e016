# shellcheck shell=bash disable=SC2154
# Source it in a recipe's run_speech_prompt.sh with its options in "$@": trains and compares CTC, attention decoder,
# frozen LM and LM with LoRA on the features of speech_encoder. Wants llm, encoder, nbpe, and as arrays common
# (options of asr_kd.sh), short and llm_short (those of how long the first two and the last two are trained).
read_by() { echo --inference_model valid.acc.ave.pth --inference_config "$1"; }

own=(--stop_stage 13 --asr_suffix "" --nbpe "${nbpe}")
./asr_kd.sh "${common[@]}" "${short[@]}" "$@" "${own[@]}" --asr_configs conf/frozen/train_asr_ctc.yaml
# shellcheck disable=SC2046
./asr_kd.sh "${common[@]}" --stage 11 "${short[@]}" "$@" "${own[@]}" --asr_configs conf/frozen/train_asr_aed.yaml $(read_by conf/decode_att.yaml)

systems=()
for system in ctc:decode_ctc_greedy aed:decode_att; do
    for exp in exp/asr_"${system%%:*}_$(basename "${encoder}")_en_bpe${nbpe}"_seed[0-9]*; do
        systems+=("${system%%:*}=${exp}:${system##*:}")
    done
done
# shellcheck disable=SC2046
./asr_kd.sh "${common[@]}" --token_type hugging_face --llm "${llm}" --text_case lower --stage 5 "${llm_short[@]}" \
    --asr_configs "conf/llm/train_asr_whisper_smollm2_frozen.yaml conf/llm/train_asr_whisper_smollm2_lora.yaml" \
    --comparison compare_speech_prompt --compare_with "${systems[*]}" $(read_by conf/llm/decode_speech_prompt.yaml) "$@"
