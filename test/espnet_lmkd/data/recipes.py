"""Run a recipe's local/data.sh in a scratch folder, as asr_kd.sh would."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from espnet_lmkd.data.directory import read_table, validate
from espnet_lmkd.data.overlap import count_overlap

EGS2 = Path(__file__).resolve().parents[3] / "egs2"


def run_data_sh(corpus, folder, *options, **variables):
    """Run local/data.sh of a corpus with `folder` as its recipe directory.

    Args:
        corpus: A folder of egs2.
        folder: Where data/ is written.
        options: Passed on.
        variables: Environment variables; LMKD_DATA and the corpora's own are unset.

    Returns:
        subprocess.CompletedProcess: With stdout and stderr as text.
    """
    recipe = EGS2 / corpus / "asr_kd1"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("local", "db.sh", "path.sh"):
        source = recipe / name
        if source.exists() and not (folder / name).exists():
            (folder / name).symlink_to(source)
    unset = (
        "LMKD_DATA",
        "MINI_LIBRISPEECH",
        "LIBRISPEECH_LM_TEXT",
        "AN4",
        "MINI_AN4",
        "AISHELL",
        "LIBRISPEECH",
    )
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    python = os.path.dirname(sys.executable)
    environment["PATH"] = f"{python}:{environment['PATH']}"
    environment["VIRTUAL_ENV"] = os.path.dirname(python)  # path.sh keeps this Python
    environment.update({name: str(value) for name, value in variables.items()})
    return subprocess.run(
        ["bash", "local/data.sh", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def validate_in(folder, name):
    """Validate data/<name> of a recipe, whose audio paths start at `folder`."""
    with contextlib.chdir(folder):
        return validate(f"data/{name}")


def succeed(run):
    assert run.returncode == 0, run.stderr
    return run.stdout


def fail(run):
    assert run.returncode == 1 and "Traceback" not in run.stderr
    return run.stderr


def speakers(data, name):
    return set(read_table(data / name / "utt2spk").values())


def number_of_overlaps(data, train, held_out):
    texts = [data / name / "text" for name in held_out]
    return sum(row[-1] for row in count_overlap([data / train], texts))
