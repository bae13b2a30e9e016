#!/usr/bin/env bash
# Make a new recipe directory that uses this template.
set -euo pipefail

if [ $# -ne 1 ] || [[ "$1" == -* ]]; then
    echo "Usage: $0 <directory>    e.g. $0 egs2/my_corpus/asr_kd1" >&2
    exit 2
fi
template=$(cd "$(dirname "$0")" && pwd)
directory=$1
if [ -e "${directory}" ]; then
    echo "$0: ${directory} exists; give a new directory" >&2
    exit 1
fi
mkdir -p "${directory}/local"
link=$(realpath -s --relative-to "${directory}" "${template}")
for file in asr_kd.sh cmd.sh path.sh scripts; do
    ln -s "${link}/${file}" "${directory}/${file}"
done
ln -s "$(realpath -s --relative-to "${directory}" "${template}/../../../conf")" "${directory}/conf"
cat >"${directory}/run.sh" <<'EOF'
#!/usr/bin/env bash
set -euo pipefail

./asr_kd.sh \
    --train_set train --valid_set dev --test_sets "test" \
    --asr_configs "conf/train_asr_ctc.yaml conf/train_asr_kd_ctc_interaed.yaml" \
    "$@"
EOF
cat >"${directory}/local/data.sh" <<'EOF'
#!/usr/bin/env bash
# Write data/<set>/{wav.scp,text,utt2spk} for every set, and data/local/lm_train.txt:
# sentences for the language model, none of them of dev or test.
set -euo pipefail
echo "local/data.sh: write your corpus's data directories here" >&2
exit 1
EOF
chmod +x "${directory}/run.sh" "${directory}/local/data.sh"
echo "Made ${directory}: now write ${directory}/local/data.sh and edit run.sh"
