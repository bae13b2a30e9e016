#!/usr/bin/env bash
# Method C on a frozen Whisper encoder's outputs: a causal LM reads them, beside CTC and attention decoders on the same.
# BRIDGE=posterior, ctc or cif: another way from the encoder's frames to the LM. LM_DTYPE=bfloat16: faster where the processor has it. LMS="frozen lora".
# JOINT=true: the LMs are decoded once more, together with the CTC student.
# ADAPT=../../mini_librispeech/asr_kd1/exp/asr_.../valid.acc.ave.pth: an LM with LoRA of that domain learns this one, by bridge and LoRA alone.
# Options are those of asr_kd.sh; the first two trainings keep their own. LLM=<folder or hub id>; LoRA needs pip install peft.
# shellcheck disable=SC2034
set -euo pipefail
cd "$(dirname "$0")"

llm=${LLM:-HuggingFaceTB/SmolLM2-135M}
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
nbpe=100 part=""
common=(--lang en --train_set train --valid_set dev --test_sets "test" --speech_encoder "${encoder}" --targets ""
    --overlap_opts "--report_only")
short="--max_epoch 30 --scheduler_conf warmup_steps_list=[0,150,1000]"  # for 34 steps an epoch
ctc_short=${short}
llm_short="--max_epoch 5 --keep_nbest_models 2 --scheduler_conf warmup_steps_list=[0,60,740]"  # for 139
. scripts/speech_prompt.sh
