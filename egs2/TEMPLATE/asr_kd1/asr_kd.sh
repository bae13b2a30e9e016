#!/usr/bin/env bash
# Train baseline and distilled recognisers stage by stage; numbers as in ESPnet's asr.sh,
# with 6 (teacher), 7 (targets) and 16 (comparison) added:
#   1 data  2 speed perturbation  3 audio format and length filter  4 overlap check
#   5 tokens  6 teacher  7 targets  8-9 LM  10 statistics  11 train  12 decode  13 score
#   14 pack  15 upload  16 compare
set -euo pipefail

log() { echo -e "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) $*"; }
die() { echo "error: $*" >&2; exit 1; }

# begin of options
stage=1             # first stage to run
stop_stage=16       # last stage to run
skip_data_prep=false  # skip 1-5
skip_teacher=false    # skip 6-7
skip_train=false      # skip 8-11
skip_eval=false       # skip 12, 13 and 16
skip_packing=true     # skip 14
skip_upload=true      # skip 15
ngpu=0              # 0: CPU; of each machine
num_nodes=1         # machines that share a training; more need cmd_backend=slurm or queue
nj=2                # parallel jobs for data, targets and statistics
train_nj=1          # experiments trained (and decoded) at once on this machine
python=python3
dumpdir=dump
expdir=exp
lang=en

train_set=          # required
valid_set=          # required
test_sets=          # required; space separated, decoded whole and only once trained
unlabelled_sets=    # space separated, a text is not used: trained on with what --speech_teacher hears in them
local_data_opts=    # passed to local/data.sh
speed_perturb_factors=  # e.g. "0.9 1.1"; empty: none
speech_encoder=     # folder or hub id: students take this frozen encoder's outputs as features
speech_encoder_opts="--stack 4"  # more of dump_features; the stack of 4 makes 12.5 frames a second
fs=16000
min_wav_duration=0.1  # seconds
max_wav_duration=30
overlap_opts=       # --report_only where test sentences repeat training ones by nature

token_type=bpe      # bpe, char, or hugging_face (the student takes over the vocabulary of the teacher, or of the LLM)
nbpe=300
llm=                # folder or hub id: the causal LM of decoder: lmkd_speech_prompt, with --token_type hugging_face
text_case=as_is     # lower: how an LLM is to write; scoring takes capitals and small letters for the same
lm_train_text=data/local/lm_train.txt  # text of teacher and LM: never dev, test or unlabelled

teacher_config=conf/teacher/modernbert_student_small.yaml
targets=teacher_topk  # what to extract, space separated: teacher_topk, teacher_tokens_topk, teacher_hidden, teacher_path_topk; or ""
hidden_teacher=     # folder or hub id for teacher_hidden; empty: the teacher of stage 6
speech_teacher=     # for teacher_path_topk: checkpoint of a transducer of this recipe, exp/asr_.../<name>.pth
pseudo_lm=          # LM of stages 8-9 (exp/lm_...) in shallow fusion where it decodes --unlabelled_sets
pseudo_inference_config=  # how it decodes them; empty: conf/decode_transducer.yaml, ..._lm.yaml with --pseudo_lm, ..._nbest.yaml with the next
pseudo_rescore_opts=  # then these of bin.rescore choose, e.g. "--lm HuggingFaceTB/SmolLM2-135M --lm_weight 0.3"
min_confidence=0    # 0 .. 1: hypotheses less sure of their tokens, exp(score / tokens), are not trained on
top_k=8
temperature=1.0
extract_opts=       # more of extract_targets, e.g. "--layers 6 9"; then also give target_tag
target_tag=         # ends the names of stores and of decoded unlabelled sets, to keep variants apart

asr_configs="conf/train_asr_ctc.yaml conf/train_asr_kd_ctc_interaed.yaml"  # first: baseline
control_config=     # configuration trained once more on targets shuffled across utterances
seeds=1             # space separated
init_model=         # checkpoint that trainings begin with, e.g. of another domain, or <checkpoint>:encoder:encoder; SEED in it stands for theirs
asr_args=           # passed to every training, e.g. "--max_epoch 5"; SEED in it stands for theirs
asr_suffix=         # ends the experiments' names, to keep variants apart
inference_config=conf/decode_ctc_greedy.yaml
inference_model=valid.cer_ctc.ave.pth
inference_args=     # passed to every decoding, e.g. "--student exp/asr_ctc_...pth"; SEED in it stands for that of the training
use_lm=false        # also train an LM and decode the baseline with shallow fusion tuned on dev
lm_config=conf/train_lm_transformer.yaml
lm_inference_config=conf/decode_ctc_beam_lm.yaml
comparison=compare  # stage 16: folder of the tables and pictures, below exp
compare_with=       # stage 16: systems that lead its tables, name=experiment:decoding, the first being the baseline
upload_exp=         # stage 15: experiment to upload
hf_repo=            # stage 15: user/name on the Hugging Face hub
upload_opts=        # stage 15: --dry_run shows what would go
# end of options

. scripts/parse_options.sh  # --name value for each of the above
[ -n "${train_set}" ] && [ -n "${valid_set}" ] && [ -n "${test_sets}" ] \
    || { echo "$0: --train_set, --valid_set and --test_sets are required; see --help" >&2; exit 2; }

. ./path.sh
. ./cmd.sh
. scripts/background_jobs.sh

add_vocab_size() {  # ESPnet wants "length,vocabulary" of each text
    for shape in "$1"/{train,valid}/text_shape; do
        awk -v v="$(wc -l <"${token_list}")" '{print $0 "," v}' "${shape}" >"${shape}.${token_type}"
    done
}
normalization_of() {  # a pretrained encoder reads speech as it is
    grep -q '^encoder: lmkd_speech' "$1" || echo "--normalize global_mvn --normalize_conf stats_file=${stats_dir}/train/feats_stats.npz"
}
llm_of() {
    ! grep -q '^decoder: lmkd_speech_prompt' "$1" || echo "--decoder_conf model=${llm}"
}
run_stage() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] && [ "$2" != true ]; }

feats_tag=raw speech=wav.scp,speech,sound
[ -z "${speech_encoder}" ] || { feats_tag=$(basename "${speech_encoder}"); speech=feats.scp,speech,npy; }
data_feats=${dumpdir}/${feats_tag}
read -r -a eval_sets <<<"${valid_set} ${test_sets}"
device=$([ "${ngpu}" -gt 0 ] && echo cuda || echo cpu)
! "${use_lm}" || [ "${token_type}" != hugging_face ] || die "--use_lm needs --token_type bpe or char: ESPnet's LM ends sentences with the last token, not [SEP]"
. scripts/tokens.sh   # text_tag, teacher_dir, token_dir, token_list, tokenizer_opts, special_tokens
. scripts/targets.sh  # full_train_set, stores_of_targets, needs_lm_teacher, functions of stage 7
set_tag=${full_train_set#train}  # train_10_sp: names of experiments end in _10_sp
stats_dir=${expdir}/asr_stats_${feats_tag}_${lang}_${token_tag}${set_tag}
lm_exp=${expdir}/lm_$(basename "${lm_config}" .yaml)_${text_tag}
lm_stats=${expdir}/lm_stats_${text_tag}

. scripts/experiments.sh  # exps, configs, exp_seeds, stores, systems, baselines

if run_stage 1 "${skip_data_prep}"; then
    log "Stage 1: data directories by local/data.sh ${local_data_opts}"
    # shellcheck disable=SC2086
    local/data.sh ${local_data_opts}
fi

if run_stage 2 "${skip_data_prep}" && [ -n "${speed_perturb_factors}" ]; then
    log "Stage 2: speed perturbation ${speed_perturb_factors}: data/${train_set} -> data/${labelled_set}"
    # shellcheck disable=SC2086
    ${python} -m espnet_lmkd.bin.perturb_speed --data_dir "data/${train_set}" --out "data/${labelled_set}" --factors ${speed_perturb_factors} --nj "${nj}"
fi

if run_stage 3 "${skip_data_prep}"; then
    log "Stage 3: ${fs} Hz flac of ${min_wav_duration}-${max_wav_duration} s: data/ -> ${dumpdir}/raw/"
    for dset in "${labelled_set}" "${eval_sets[@]}" ${unlabelled_sets}; do
        length_opts=(--min_seconds "${min_wav_duration}" --max_seconds "${max_wav_duration}")
        [[ " ${test_sets} " != *" ${dset} "* ]] || length_opts=(--min_seconds 0 --max_seconds inf)  # all of a test set
        ${python} -m espnet_lmkd.bin.format_data --data_dir "data/${dset}" --out "${dumpdir}/raw/${dset}" --fs "${fs}" "${length_opts[@]}" --nj "${nj}"
        [ -n "${speech_encoder}" ] || continue
        # shellcheck disable=SC2086
        ${cuda_cmd} --gpu "${ngpu}" "${data_feats}/${dset}.log" ${python} -m espnet_lmkd.bin.dump_features --data_dir "${dumpdir}/raw/${dset}" \
            --out "${data_feats}/${dset}" --encoder "${speech_encoder}" --device "${device}" ${speech_encoder_opts}
    done
fi

if run_stage 4 "${skip_data_prep}"; then
    log "Stage 4: no held-out sentence in the training text"
    held_out=()
    for dset in "${eval_sets[@]}" ${unlabelled_sets:-unlabelled}; do
        [ ! -f "data/${dset}/text" ] || held_out+=(--held_out "data/${dset}/text")
    done
    # shellcheck disable=SC2086
    ${python} -m espnet_lmkd.bin.check_overlap --train_text "${lm_train_text}" --train_text "data/${train_set}/text" "${held_out[@]}" ${overlap_opts}
fi

if run_stage 5 "${skip_data_prep}"; then
    log "Stage 5: ${token_list}"
    if [ -n "${llm}" ]; then
        ${python} -m espnet_lmkd.bin.make_tokens --token_type hugging_face --model "${llm}" --out "${token_dir}"
        [ "${text_case}" = as_is ] || for dset in "${labelled_set}" "${valid_set}"; do
            ${python} -m espnet_lmkd.bin.change_case --text_case "${text_case}" --text "${data_feats}/${dset}/text" --out "${data_feats}/${dset}/text.${text_case}"
        done
    elif [ "${token_type}" != hugging_face ]; then  # those come with the teacher in stage 6
        ${python} -m espnet_lmkd.bin.make_tokens --text "data/${train_set}/text" --token_type "${token_type}" --vocab_size "${nbpe}" --out "${token_dir}"
    fi
fi

if run_stage 6 "${skip_teacher}" && { "${needs_lm_teacher}" || [ "${token_type}${llm}" = hugging_face ]; }; then
    log "Stage 6: teacher -> ${teacher_dir} (log: ${teacher_dir}.log)"
    teacher_opts=("${tokenizer_opts[@]}")
    [ "${token_type}" != hugging_face ] || teacher_opts=(--token_type hugging_face)
    ${cuda_cmd} --gpu "${ngpu}" "${teacher_dir}.log" ${python} -m espnet_lmkd.bin.prepare_teacher \
        --config "${teacher_config}" --lm_text "${lm_train_text}" "${teacher_opts[@]}" --device "${device}" --out "${teacher_dir}"
    grep "^${teacher_dir}: " "${teacher_dir}.log" || true
fi

if run_stage 7 "${skip_teacher}"; then
    if [ "${full_train_set}" != "${labelled_set}" ]; then
        log "Stage 7: hypotheses of ${speech_teacher} for ${unlabelled_sets} -> ${data_feats}/${full_train_set}"
        label_unlabelled_sets
    fi
    for target in ${targets}; do
        log "Stage 7: targets -> $(store_of "${target}")"
        extract_target "${target}"
    done
fi

text=text; [ "${text_case}" = as_is ] || text+=.${text_case}
asr_data_opts=(
    --valid_data_path_and_name_and_type "${data_feats}/${valid_set}/${speech}"
    --valid_data_path_and_name_and_type "${data_feats}/${valid_set}/${text},text,text"
    --train_data_path_and_name_and_type "${data_feats}/${full_train_set}/${speech}"
    --train_data_path_and_name_and_type "${data_feats}/${full_train_set}/${text},text,text"
    --use_preprocessor true "${tokenizer_opts[@]}" "${special_tokens[@]}" --ngpu "${ngpu}")
lm_opts=(--config "${lm_config}" --use_preprocessor true "${tokenizer_opts[@]}" --ngpu "${ngpu}"
    --train_data_path_and_name_and_type "${lm_stats}/train.txt,text,text"
    --valid_data_path_and_name_and_type "${data_feats}/${valid_set}/text,text,text")
if "${use_lm}" && run_stage 8 "${skip_train}"; then
    log "Stage 8: LM statistics -> ${lm_stats}"
    mkdir -p "${lm_stats}"
    awk '{printf "lm_%08d %s\n", NR, $0}' "${lm_train_text}" >"${lm_stats}/train.txt"
    ${train_cmd} "${lm_stats}/stats.log" ${python} -m espnet2.bin.lm_train --collect_stats true \
        "${lm_opts[@]}" --ngpu 0 --output_dir "${lm_stats}"
    add_vocab_size "${lm_stats}"
fi

if "${use_lm}" && run_stage 9 "${skip_train}"; then
    log "Stage 9: LM -> ${lm_exp}"
    mkdir -p "${lm_exp}"
    given=$(cat "${lm_config}" "${lm_stats}/train.txt" "${token_list}" | sha256sum)
    [ ! -f "${lm_exp}/given" ] || [ "$(<"${lm_exp}/given")" = "${given}" ] \
        || die "${lm_exp} holds an LM of another configuration, text or tokens; remove it"
    echo "${given}" >"${lm_exp}/given"
    ${cuda_cmd} --gpu "${ngpu}" "${lm_exp}/train.log" ${python} -m espnet2.bin.lm_train "${lm_opts[@]}" \
        --train_shape_file "${lm_stats}/train/text_shape.${token_type}" \
        --valid_shape_file "${lm_stats}/valid/text_shape.${token_type}" \
        --fold_length 150 --resume true --output_dir "${lm_exp}"
fi

if run_stage 10 "${skip_train}"; then
    log "Stage 10: statistics -> ${stats_dir}"
    # shellcheck disable=SC2046,SC2086
    ${train_cmd} "${stats_dir}/stats.log" ${python} -m espnet_lmkd.bin.asr_kd_train --collect_stats true \
        --config "${config_list[0]}" $(llm_of "${config_list[0]}") "${asr_data_opts[@]}" --ngpu 0 --output_dir "${stats_dir}" ${asr_args//SEED/${exp_seeds[0]}}
    add_vocab_size "${stats_dir}"
fi

if run_stage 11 "${skip_train}"; then
    log "Stage 11: ${#exps[@]} trainings, ${train_nj} at once"
    [ -f "${stats_dir}/train/speech_shape" ] || die "${stats_dir}/train/speech_shape is missing; run stage 10"
    for index in "${!exps[@]}"; do
        exp=${exps[index]}
        log "  ${exp} (log: ${exp}/train.log)"
        init=${init_model//SEED/${exp_seeds[index]}}
        [ -z "${init}" ] || [ -f "${init%%:*}" ] || die "--init_model: ${init%%:*} does not exist; train it first"
        # shellcheck disable=SC2046,SC2086
        launch "${exp}/train.log" ${python} -m espnet_lmkd.bin.asr_kd_train \
            --config "${configs[index]}" --seed "${exp_seeds[index]}" "${asr_data_opts[@]}" ${stores[index]:+--target_store ${stores[index]}} \
            --train_shape_file "${stats_dir}/train/speech_shape" \
            --train_shape_file "${stats_dir}/train/text_shape.${token_type}" \
            --valid_shape_file "${stats_dir}/valid/speech_shape" \
            --valid_shape_file "${stats_dir}/valid/text_shape.${token_type}" \
            $(normalization_of "${configs[index]}") $(llm_of "${configs[index]}") ${init:+--init_param "${init}"} \
            --multiprocessing_distributed "$([ "${ngpu}" -gt 1 ] && echo true || echo false)" --resume true --fold_length 80000 --fold_length 150 --output_dir "${exp}" ${asr_args//SEED/${exp_seeds[index]}} &
        started
    done
    finish
fi

eval_dirs=("${eval_sets[@]/#/${data_feats}/}")

if run_stage 12 "${skip_eval}"; then
    log "Stage 12: decode ${eval_sets[*]}"
    for index in "${!exps[@]}"; do
        exp=${exps[index]}
        # shellcheck disable=SC2086
        ${cuda_cmd} --gpu "${ngpu}" "${exp}/${decode_tag}/decode.log" ${python} -m espnet_lmkd.bin.asr_inference --config "${inference_config}" --ngpu "${ngpu}" \
            --asr_train_config "${exp}/config.yaml" --asr_model_file "${exp}/${inference_model}" --data_dirs "${eval_dirs[@]}" --output_dir "${exp}/${decode_tag}" ${inference_args//SEED/${exp_seeds[index]}} &
        started
    done
    finish
    "${use_lm}" || baselines=()
    for exp in "${baselines[@]}"; do
        log "  ${exp} with the LM, tuned on ${valid_set}"
        model_opts=(--ngpu "${ngpu}" --asr_train_config "${exp}/config.yaml"
            --asr_model_file "${exp}/${inference_model}" --lm_train_config "${lm_exp}/config.yaml"
            --lm_file "${lm_exp}/valid.loss.ave.pth" --output_dir "${exp}/${lm_decode_tag}")
        ${cuda_cmd} --gpu "${ngpu}" "${exp}/${lm_decode_tag}/tune.log" ${python} -m espnet_lmkd.bin.tune_decode --config "${lm_inference_config}" \
            "${model_opts[@]}" --data_dir "${data_feats}/${valid_set}"
        ${cuda_cmd} --gpu "${ngpu}" "${exp}/${lm_decode_tag}/decode.log" \
            ${python} -m espnet_lmkd.bin.asr_inference --config "${exp}/${lm_decode_tag}/decode_tuned.yaml" \
            "${model_opts[@]}" --data_dirs "${eval_dirs[@]}"
    done
fi

if run_stage 13 "${skip_eval}"; then
    log "Stage 13: score"
    score_opts=()
    [ "${token_type}" != bpe ] || score_opts=(--bpemodel "${token_dir}/bpe.model")
    decode_dirs=("${systems[@]#*=}")
    decode_dirs=("${decode_dirs[@]//:/\/}")
    ${python} -m espnet_lmkd.bin.score --data_dirs "${eval_dirs[@]}" --decode_dirs "${decode_dirs[@]}" "${score_opts[@]}"
fi

if run_stage 14 "${skip_packing}"; then
    log "Stage 14: export and pack models for ESPnet; those with parts of this pack need it, as their cards say"
    for exp in "${exps[@]}"; do
        ${cuda_cmd} "${exp}/export.log" ${python} -m espnet_lmkd.bin.export_student --exp "${exp}" --model_file "${exp}/${inference_model}" --zip &
        started
    done
    finish
fi

if run_stage 15 "${skip_upload}"; then
    log "Stage 15: upload to the Hugging Face hub: ${hf_repo}"
    [ -n "${hf_repo}" ] && [ -n "${upload_exp}" ] || die "stage 15 needs --hf_repo user/name and --upload_exp exp/asr_..."
    # shellcheck disable=SC2086
    ${python} -m espnet_lmkd.bin.upload_model --exported "${upload_exp}/exported" --repo "${hf_repo}" ${upload_opts}
fi

if run_stage 16 "${skip_eval}"; then
    # shellcheck disable=SC2086
    ${python} -m espnet_lmkd.bin.compare --exp ${compare_with} "${systems[@]}" --test_sets "${eval_sets[@]}" --out "${expdir}/${comparison}${asr_suffix}"
fi
