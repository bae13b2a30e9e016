#!/usr/bin/env bash
# Method C on a frozen Whisper encoder's outputs: a causal LM reads them, beside CTC and attention decoders on the same.
# BRIDGE=posterior, ctc or cif: another way from the encoder's frames to the LM. LM_DTYPE=bfloat16: faster where the processor has it. LMS="frozen lora".
# JOINT=true: the LMs are decoded once more, together with the CTC student.
# PERCENT=30: 1.4 h of the transcripts.
# Options are those of asr_kd.sh; the first two trainings keep their own. LLM=<folder or hub id>; LoRA needs pip install peft.
# shellcheck disable=SC2034
set -euo pipefail
cd "$(dirname "$0")"

llm=${LLM:-HuggingFaceTB/SmolLM2-135M}
encoder=${SPEECH_ENCODER:-openai/whisper-base.en}
. local/percent.sh
part=${percent:+_${percent}} short=${schedule} ctc_short=${ctc_schedule}
case ${percent} in
    "") llm_short="" posterior_steps=3000 ;;
    30) posterior_steps=900 llm_short="--max_epoch 8 --keep_nbest_models 2 --scheduler_conf warmup_steps_list=[0,150,2700]" ;;  # for 326 steps an epoch
    *) echo "$0: PERCENT=${percent}: choose 30 or leave it empty" >&2; exit 2 ;;
esac
[ "${BRIDGE:-conv}" != posterior ] || llm_short="--batch_bins 4000000 --max_epoch 5 --keep_nbest_models 2 --scheduler_conf warmup_steps_list=[0,50,${posterior_steps}]"
common=("${parts[@]}" --lang en --valid_set dev --test_sets "test" --speech_encoder "${encoder}" --targets "")
. scripts/speech_prompt.sh
