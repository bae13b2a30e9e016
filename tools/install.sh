#!/usr/bin/env bash
# Make a virtual environment with ESPnet and this pack. A torch that the given Python
# already has is used and never replaced.
set -euo pipefail

if [ $# -lt 1 ] || [[ "$1" == -* ]]; then
    echo "Usage: $0 <venv directory> [python] [espnet version]" >&2
    exit 2
fi
venv=$1
python=${2:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)

version=$("${python}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "${version}" in
    3.11) newest=202511 ;;  # the newest release for this Python
    3.12) newest=202611 ;;
    *) echo "error: Python 3.11 or 3.12 is wanted, ${python} is ${version}; give another: make PYTHON=python3.11" >&2; exit 1 ;;
esac
espnet=${3:-${newest}}

overrides=$(mktemp)
trap 'rm -f "${overrides}"' EXIT
# ESPnet 202511 pins setuptools below what torch wants; pyworld needs pkg_resources (< 81).
echo "setuptools>=77.0.3,<81" >"${overrides}"
"${python}" -m venv "${venv}"
find_torch='import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])'
if torch_home=$("${python}" -c "${find_torch}" 2>/dev/null); then
    echo "Using the torch in ${torch_home}"
    echo "${torch_home}" >"${venv}/lib/python${version}/site-packages/torch_of_the_user.pth"
    echo "torch ; python_version < '3'" >>"${overrides}"
fi
"${venv}/bin/python" -m pip install --quiet --upgrade uv

# uv does not read pip's settings.
setting() { "${venv}/bin/python" -m pip config get "$1" 2>/dev/null || true; }
links=${PIP_FIND_LINKS:-$(setting global.find-links)}
index=${PIP_INDEX_URL:-$(setting global.index-url)}
[ -z "${links}" ] || export UV_FIND_LINKS=${UV_FIND_LINKS:-${links// /,}}
[ -z "${index}" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${index}}
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-${PIP_CERT}}
uv() { "${venv}/bin/uv" pip install --quiet --python "${venv}/bin/python" --override "${overrides}" "$@"; }

packages=("torch==2.13.0" "torchaudio==2.11.0" matplotlib tensorboard six editdistance espnet-model-zoo)
if [ "${espnet}" = "${newest}" ]; then
    uv "${packages[@]}" "espnet==${espnet}"
else  # a release that does not declare this Python, for tests on both lines
    uv "${packages[@]}" "kaldiio>=2.18" typeguard humanfriendly scipy "numpy>=2" h5py librosa \
        omniio filelock torch-complex einops tqdm hydra-core omegaconf \
        configargparse espnet-tts-frontend ctc-segmentation editdistance opt-einsum \
        "sentencepiece==0.2.1" espnet-g2p-en "pytorch-wpe" ci_sdr fast-bss-eval pyworld
    "${venv}/bin/python" -m pip install --quiet --no-deps --ignore-requires-python "espnet==${espnet}"
fi
uv --editable "${here}[teacher,llm,test,demo]"

# torchaudio's compiled part wants CUDA libraries beside a CPU-only torch; ESPnet needs
# its Python part alone.
if ! "${venv}/bin/python" -c 'import torchaudio' 2>/dev/null; then
    "${venv}/bin/python" - <<'EOF'
import importlib.util
from pathlib import Path

root = Path(importlib.util.find_spec("torchaudio").origin).parent
for library in root.glob("lib/_torchaudio*.so"):
    library.unlink()
EOF
    "${venv}/bin/python" -c 'import torchaudio'
fi
# Where Python may not write bytecode (PYTHONDONTWRITEBYTECODE), ESPnet would be compiled at
# every start, 15 s a process. Some packages hold files for other Pythons: those may fail.
"${venv}/bin/python" -m compileall -q -j 0 "${venv}/lib" >/dev/null || true
touch "${venv}/.installed"
