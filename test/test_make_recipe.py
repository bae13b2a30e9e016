"""A recipe is copied with all that it runs on; a new one is linked to a checkout."""

import subprocess
from pathlib import Path

import pytest

from espnet_lmkd.bin import make_recipe
from espnet_lmkd.data.recipes import make_recipe as copy_recipe
from espnet_lmkd.data.recipes import names
from espnet_lmkd.errors import InputError

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", names())
def test_a_copy_needs_no_checkout(name, tmp_path, capsys):
    out = tmp_path / "recipe"
    make_recipe.main(["--recipe", name, "--out", str(out)])
    assert str(out) in capsys.readouterr().out
    assert not any(path.is_symlink() for path in out.rglob("*"))
    runs = sorted(path.name for path in out.glob("run*.sh"))
    assert runs and all((out / run).stat().st_mode & 0o100 for run in runs)
    assert (out / "local/data.sh").is_file() and (out / "conf/teacher").is_dir()
    # It lists its options, for which it reads its scripts.
    command = ["./asr_kd.sh", "--help"]
    found = subprocess.run(command, cwd=out, capture_output=True, text=True, check=True)
    assert "--asr_configs" in found.stdout + found.stderr


def test_what_runs_produce_stays_behind(tmp_path):
    copy_recipe("mini_an4", tmp_path / "recipe")
    made = {path.name for path in (tmp_path / "recipe").iterdir()}
    assert not made & {"data", "dump", "exp", "downloads", "setup.sh"}


def test_wrong_names_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no recipe 'an5'; choose one of .*'an4'"):
        copy_recipe("an5", tmp_path / "recipe")
    with pytest.raises(InputError, match="exists; give a new folder"):
        copy_recipe("an4", tmp_path)


def test_a_new_recipe_is_linked_to_the_checkout(tmp_path):
    setup = ROOT / "egs2/TEMPLATE/asr_kd1/setup.sh"
    new = tmp_path / "corpus" / "asr_kd1"
    subprocess.run([setup, new], check=True, capture_output=True)
    assert (new / "asr_kd.sh").resolve() == setup.parent / "asr_kd.sh"
    assert (new / "conf").resolve() == ROOT / "conf"
    found = subprocess.run([new / "local/data.sh"], capture_output=True, text=True)
    assert found.returncode == 1 and "write your corpus" in found.stderr
