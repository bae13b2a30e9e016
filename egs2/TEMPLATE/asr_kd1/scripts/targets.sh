# shellcheck shell=bash disable=SC2034,SC2154
# Source it: what is trained on (full_train_set) and where the targets of it lie (stores_of_targets), and
# stage 7 as functions. Targets of text are those of a language model (teacher_dir), shared by speed-perturbed
# copies; targets of frames are those of a transducer (speech_teacher) on each copy.
labelled_set=${train_set}${speed_perturb_factors:+_sp}
full_train_set=${labelled_set} text_set=${train_set} train_text=data/${train_set}/text
if [ -n "${speech_teacher}" ] && [ -n "${unlabelled_sets}" ]; then  # learns from what the teacher hears there, too
    full_train_set=${labelled_set}_${unlabelled_sets// /_}${target_tag}
    text_set=${full_train_set} train_text=${data_feats}/${full_train_set}/text
fi
teacher_feats=${data_feats}  # what the speech teacher hears: its training tells, it need not be what students hear
if [ -f "$(dirname "${speech_teacher:-none}")/config.yaml" ]; then
    heard=$(awk '/^train_data_path_and_name_and_type:/ {getline; print $NF; exit}' "$(dirname "${speech_teacher}")/config.yaml")
    teacher_feats=${dumpdir}/$(basename "$(dirname "$(dirname "${heard}")")")
    [ "${teacher_feats}" = "${data_feats}" ] || [ -d "${teacher_feats}/${labelled_set}" ] \
        || die "${speech_teacher} was trained on ${heard}; ${teacher_feats}/${labelled_set} is missing: run stage 3 with its --speech_encoder"
fi
teacher_of() {
    case $1 in
        teacher_path_topk) echo "${speech_teacher}" ;;
        teacher_hidden) echo "${hidden_teacher:-${teacher_dir}}" ;;
        *) echo "${teacher_dir}" ;;
    esac
}
store_of() {
    local tag=_k${top_k}_t${temperature} name set=${text_set}
    name=$(basename "${teacher_dir}")
    [ "$1" != teacher_hidden ] || tag=${hidden_teacher:+_by_$(basename "${hidden_teacher}")}
    if [ "$1" = teacher_path_topk ]; then
        name=$(basename "$(dirname "${speech_teacher}")") tag=_k${top_k} set=${full_train_set}
        [ "${teacher_feats}" = "${data_feats}" ] || tag+=_for_${feats_tag}  # knows the students' audio, too
    fi
    echo "${dumpdir}/targets/${name}_$1${tag}${target_tag}/${set}"
}
stores_of_targets='' needs_lm_teacher=false
for target in ${targets}; do
    [ "${target}" != teacher_path_topk ] || [ -n "${speech_teacher}" ] \
        || die "--targets teacher_path_topk needs --speech_teacher exp/asr_.../<name>.pth; train one: --targets '' --asr_configs <a transducer's>"
    stores_of_targets+="$(store_of "${target}") "
    [ "$(teacher_of "${target}")" != "${teacher_dir}" ] || needs_lm_teacher=true
done

label_unlabelled_sets() {  # by the speech teacher: writes the data directory of full_train_set
    local exp config decoding dset opts=() parts=("${data_feats}/${labelled_set}")
    exp=$(dirname "${speech_teacher}")
    config=${pseudo_inference_config:-conf/decode_transducer${pseudo_lm:+_lm}${pseudo_rescore_opts:+_nbest}.yaml}
    [ -f "${config}" ] || die "--pseudo_lm and --pseudo_rescore_opts together need a --pseudo_inference_config with lm_weight and nbest"
    [ -z "${pseudo_rescore_opts}" ] || grep -q '^nbest: ' "${config}" || die "--pseudo_rescore_opts: ${config} has no nbest to choose from"
    decoding=${exp}/pseudo_$(basename "${config}" .yaml)${pseudo_lm:+_$(basename "${pseudo_lm}")}
    [ -z "${pseudo_lm}" ] || opts=(--lm_train_config "${pseudo_lm}/config.yaml" --lm_file "${pseudo_lm}/valid.loss.ave.pth")
    for dset in ${unlabelled_sets}; do
        # shellcheck disable=SC2086
        ${cuda_cmd} --gpu "${ngpu}" "${decoding}/${dset}.log" ${python} -m espnet_lmkd.bin.asr_inference \
            --config "${config}" --ngpu "${ngpu}" --asr_train_config "${exp}/config.yaml" \
            --asr_model_file "${speech_teacher}" "${opts[@]}" --data_dirs "${teacher_feats}/${dset}" --output_dir "${decoding}" &
        started
    done
    finish
    if [ -n "${pseudo_rescore_opts}" ]; then
        # shellcheck disable=SC2206
        opts=(${unlabelled_sets})
        # shellcheck disable=SC2086
        ${cuda_cmd} --gpu "${ngpu}" "${decoding}_rescored/rescore.log" ${python} -m espnet_lmkd.bin.rescore ${pseudo_rescore_opts} \
            --device "${device}" --decode_dirs "${opts[@]/#/${decoding}/}" --output_dir "${decoding}_rescored"
        decoding+=_rescored
    fi
    for dset in ${unlabelled_sets}; do
        opts=()
        [ ! -f "data/${dset}/text" ] || opts=(--reference "data/${dset}/text")
        parts+=("${data_feats}/${dset}_pseudo${target_tag}")
        ${python} -m espnet_lmkd.bin.pseudo_label --data_dir "${data_feats}/${dset}" --decode_dir "${decoding}/${dset}" \
            --min_confidence "${min_confidence}" --out "${parts[-1]}" "${opts[@]}"
    done
    ${python} -m espnet_lmkd.bin.combine_data --data_dirs "${parts[@]}" --out "${data_feats}/${full_train_set}"
}
extract_target() {
    local store jobs=$((ngpu > 0 ? ngpu : nj)) input=(--text "${train_text}")
    store=$(store_of "$1")
    if [ "$1" = teacher_path_topk ]; then
        input=(--data_dir "${data_feats}/${full_train_set}")
        if [ "${teacher_feats}" != "${data_feats}" ]; then
            # shellcheck disable=SC2206
            local sets=("${labelled_set}" ${unlabelled_sets})
            input+=(--teacher_inputs "${sets[@]/#/${teacher_feats}/}")
        fi
    fi
    # shellcheck disable=SC2206
    local extract=(${python} -m espnet_lmkd.bin.extract_targets "${input[@]}" --teacher "$(teacher_of "$1")"
        "${tokenizer_opts[@]}" --targets "$1" --top_k "${top_k}" --temperature "${temperature}" --out "${store}"
        --device "${device}" --nj "${jobs}" ${extract_opts})
    ${cuda_cmd} --gpu "$((ngpu > 0))" JOB=1:"${jobs}" "${store}.logs/extract.JOB.log" "${extract[@]}" --job JOB
    "${extract[@]}" --merge --device cpu  # all is computed, and GPUs may be elsewhere
    if [ -n "${control_config}" ]; then
        ${python} -m espnet_lmkd.bin.shuffle_targets --store "${store}" --out "${store}_shuffled" --seed 0
    fi
}
