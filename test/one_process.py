"""Run a recipe whose every ${python} runs here, so that ESPnet is imported once."""

import contextlib
import io
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from espnet_lmkd.__main__ import main as plug

# Stands for python3: hands its arguments over and ends as they did.
STUB = """#!/usr/bin/env bash
set -euo pipefail
call=$(dirname "$0")/call.$$
mkfifo "${call}.code"
printf '%s\\0' "${PWD}" "$@" >"${call}.tmp"
mv "${call}.tmp" "${call}.ready"
read -r code <"${call}.code"
cat "${call}.out"
exit "${code}"
"""


def run_recipe(folder, *command, **variables):
    """Run a script of a recipe to its end.

    Args:
        folder: of the recipe; gets a folder `calls`.
        command: script and its options; all but --python.
        variables: of its environment.

    Returns:
        subprocess.CompletedProcess: with stdout, which holds stderr, too.
    """
    calls = folder / "calls"
    calls.mkdir(exist_ok=True)
    stub = calls / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    here = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{here}:{os.environ['PATH']}"}
    environment["VIRTUAL_ENV"] = os.path.dirname(here)  # path.sh keeps this Python
    environment.update({name: str(value) for name, value in variables.items()})
    command = [*map(str, command), "--python", str(stub)]
    with open(folder / "output", "w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
        while process.poll() is None:
            for call in calls.glob("*.ready"):
                _answer(call)
            time.sleep(0.02)
        output.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, output.read())


def _answer(call):
    folder, *words = call.read_text().split("\0")[:-1]
    call.unlink()
    printed, argv, code = io.StringIO(), sys.argv, 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        with contextlib.chdir(folder):
            try:
                plug(words)
            except SystemExit as stop:
                code = stop.code or 0
            except Exception:
                traceback.print_exc()
                code = 1
    sys.argv = argv
    call.with_suffix(".out").write_text(printed.getvalue())
    Path(call.with_suffix(".code")).write_text(f"{code}\n")
