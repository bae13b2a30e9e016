# shellcheck shell=bash
LMKD_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
export LMKD_ROOT
if [ -f "${LMKD_ROOT}/.venv/bin/activate" ] && [ -z "${VIRTUAL_ENV:-}" ]; then
    # shellcheck source=/dev/null
    . "${LMKD_ROOT}/.venv/bin/activate"
fi
if [ -d "${LMKD_ROOT}/espnet_lmkd" ]; then  # a checkout; elsewhere the pack is installed
    export PYTHONPATH=${LMKD_ROOT}${PYTHONPATH:+:${PYTHONPATH}}
fi
export LC_ALL=C
export PYTHONIOENCODING=UTF-8
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export TOKENIZERS_PARALLELISM=false
if [ ! -t 2 ]; then
    export TQDM_MININTERVAL=60  # progress bars in a log file: a line a minute
fi
