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
cp "${template}/run.sh" "${directory}/run.sh"
cp "${template}/local/data.sh" "${directory}/local/data.sh"
echo "Made ${directory}: now write ${directory}/local/data.sh and edit run.sh"
