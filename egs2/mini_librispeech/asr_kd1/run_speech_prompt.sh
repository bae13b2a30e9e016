#!/usr/bin/env bash
# Method C on a frozen Whisper encoder's outputs: a causal LM reads them, beside CTC and attention decoders on the same.
# Options are those of asr_kd.sh; the first two trainings keep their own. LLM=<folder or hub id>; LoRA needs pip install peft.
set -euo pipefail
cd "$(dirname "$0")"

llm=${LLM:-HuggingFaceTB/SmolLM2-135M}
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
common=(--lang en --train_set train --valid_set dev --test_sets "test" --speech_encoder "${encoder}" --targets "")
read_by() { echo --inference_model valid.acc.ave.pth --inference_config "$1"; }

own=(--stop_stage 13 --asr_suffix "" --nbpe 1000)
./asr_kd.sh "${common[@]}" "$@" "${own[@]}" --asr_configs conf/frozen/train_asr_ctc.yaml
# shellcheck disable=SC2046
./asr_kd.sh "${common[@]}" --stage 11 "$@" "${own[@]}" --asr_configs conf/frozen/train_asr_aed.yaml $(read_by conf/decode_att.yaml)

systems=()
for system in ctc:decode_ctc_greedy aed:decode_att; do
    for exp in exp/asr_"${system%%:*}_$(basename "${encoder}")"_en_bpe1000_seed[0-9]*; do
        systems+=("${system%%:*}=${exp}:${system##*:}")
    done
done
# shellcheck disable=SC2046
./asr_kd.sh "${common[@]}" --token_type hugging_face --llm "${llm}" --text_case lower --stage 5 \
    --asr_configs "conf/llm/train_asr_whisper_smollm2_frozen.yaml conf/llm/train_asr_whisper_smollm2_lora.yaml" \
    --comparison compare_speech_prompt --compare_with "${systems[*]}" $(read_by conf/llm/decode_speech_prompt.yaml) "$@"
