"""Local jobs: their logs, and which GPU each of them sees."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "egs2/TEMPLATE/asr_kd1/scripts/run_jobs.sh"


def run(folder, *arguments, devices=None):
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = devices
    subprocess.run([SCRIPT, *arguments], cwd=folder, env=environment, check=True)


def seen(path):
    (line,) = [x for x in path.read_text().splitlines() if x.startswith("GPU")]
    return line


PRINT = ("bash", "-c", "echo GPU ${CUDA_VISIBLE_DEVICES:-all}")


@pytest.mark.parametrize("devices, wanted", [(None, "0 1 2"), ("5,7", "5 7 5")])
def test_each_of_several_jobs_has_its_own_gpu(tmp_path, devices, wanted):
    run(tmp_path, "--gpu", "1", "JOB=1:3", "log.JOB", *PRINT, devices=devices)
    found = [seen(tmp_path / f"log.{job}") for job in (1, 2, 3)]
    assert found == [f"GPU {device}" for device in wanted.split()]


def test_one_job_sees_all_gpus(tmp_path):
    run(tmp_path, "--gpu", "2", "log", *PRINT)
    assert seen(tmp_path / "log") == "GPU all"
    run(tmp_path, "--gpu", "0", "JOB=1:2", "cpu.JOB", *PRINT)
    assert seen(tmp_path / "cpu.2") == "GPU all"


@pytest.mark.parametrize(
    "nodes, wanted",
    [
        (1, "cluster --gpu 4 exp/a/train.log train --seed 1"),
        (
            2,
            "python -m espnet2.bin.launch --cmd echo cluster --log exp/a/train.log "
            "--ngpu 4 --num_nodes 2 --init_file_prefix exp/a/.dist_init_ -- "
            "train --seed 1",
        ),
    ],
)
def test_only_several_machines_need_espnets_launcher(nodes, wanted):
    script = f"""
    . {SCRIPT.parent}/background_jobs.sh
    ngpu=4 num_nodes={nodes} cuda_cmd="echo cluster" python="echo python"
    launch exp/a/train.log train --seed 1
    """
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True)
    assert ran.stdout.strip() == wanted, ran.stderr


def test_several_machines_without_a_cluster_are_refused_before_any_stage():
    recipe = SCRIPT.parents[3] / "mini_an4/asr_kd1"
    ran = subprocess.run(
        ["./run.sh", "--num_nodes", "2", "--stage", "17"],
        cwd=recipe,
        env={k: v for k, v in os.environ.items() if k != "cmd_backend"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: --num_nodes 2 needs a cluster"), ran.stderr
