#!/usr/bin/env bash
# A tiny causal LM, which knows nothing, reads speech: does every stage run? A second training
# goes on from the first, the encoder as it is: bridge and LoRA (pip install peft) alone.
set -euo pipefail
cd "$(dirname "$0")"

llm=exp/tiny_llm
exp=exp/asr_speech_prompt_raw_en_hugging_face_tiny_llm_nodev_seed1
common=(
    --lang en
    --train_set train_nodev
    --valid_set train_dev
    --test_sets "test"
    --nj 1
    --token_type hugging_face
    --llm "${llm}"
    --text_case lower
    --overlap_opts "--report_only"
    --targets ""
    --asr_configs conf/tiny/train_asr_speech_prompt.yaml
    --inference_config conf/llm/decode_speech_prompt.yaml
    --inference_model valid.acc.ave.pth
)

. ./path.sh
python3 local/tiny_llm.py --out "${llm}"
./asr_kd.sh "${common[@]}" "$@"
python3 -m espnet_lmkd.bin.speech_prompt_adapter save --exp "${exp}" --out "${exp}/adapter"
./asr_kd.sh "${common[@]}" --stage 11 --init_model "${exp}/valid.acc.ave.pth" --asr_suffix _adapted --asr_args "--freeze_param encoder" "$@"
