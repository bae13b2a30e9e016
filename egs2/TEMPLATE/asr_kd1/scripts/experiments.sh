# shellcheck shell=bash disable=SC2034,SC2154
# Source it: lists the trainings as exps, configs, exp_seeds and stores (of targets), the systems to compare
# as name=experiment:decoding, and the baselines. An experiment is a configuration, a seed and stores.
read -r -a config_list <<<"${asr_configs}"
decode_tag=$(basename "${inference_config}" .yaml)
lm_decode_tag=$(basename "${lm_inference_config}" .yaml)
exps=() configs=() exp_seeds=() stores=() systems=() baselines=()
add_experiments() {  # configuration, suffix of its name, stores separated by spaces
    local seed name
    name=$(basename "$1" .yaml)
    name=${name#train_asr_}$2
    [ -f "$1" ] || die "--asr_configs, --control_config: $1 does not exist"
    for seed in ${seeds}; do
        exps+=("${expdir}/asr_${name}_${feats_tag}_${lang}_${token_tag}${set_tag}${asr_suffix}_seed${seed}")
        configs+=("$1") exp_seeds+=("${seed}") stores+=("$3")
        systems+=("${name}=${exps[-1]}:${decode_tag}")
    done
}
for config in "${config_list[@]}"; do
    add_experiments "${config}" "" "${stores_of_targets}"
    [ "${#baselines[@]}" -gt 0 ] || baselines=("${exps[@]}")
done
[ -z "${control_config}" ] || add_experiments "${control_config}" _shuffled "${stores_of_targets// /_shuffled }"
[ "$(printf '%s\n' "${exps[@]}" | sort -u | wc -l)" = "${#exps[@]}" ] || die "two --asr_configs have the same file name; they would share ${expdir}/asr_<name>"
if "${use_lm}"; then
    for exp in "${baselines[@]}"; do systems+=("${systems[0]%%=*}+lm=${exp}:${lm_decode_tag}"); done
fi
[ -n "${llm}" ] || ! grep -lq '^decoder: lmkd_speech_prompt' "${configs[@]}" || die "decoder: lmkd_speech_prompt needs --token_type hugging_face and --llm"
