"""Training under torchrun, and going on with it after an interruption."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_store import TEXTS, make_store

# The same training twice, the second time interrupted after its first epoch.
TRAINING = """
import os, sys
from espnet_lmkd.bin.asr_kd_train import main

for out, epochs in (("straight", "2"), ("resumed", "1"), ("resumed", "2")):
    meet = f"file://{os.getcwd()}/{out}{epochs}"  # torchrun's own place serves once
    training = ["--output_dir", out, "--max_epoch", epochs, "--dist_init_method", meet]
    main(sys.argv[1:] + training)
"""
BLOCKS = dict(attention_heads=2, linear_units=8, num_blocks=1)
CONFIG = dict(
    batch_type="unsorted",
    batch_size=3,
    num_workers=0,
    keep_nbest_models=2,
    init="xavier_uniform",
    optim="adam",
    encoder="transformer",
    # Where random numbers go on after an interruption ESPnet does not keep.
    encoder_conf=dict(
        output_size=8,
        input_layer="conv1d2",
        dropout_rate=0.0,
        positional_dropout_rate=0.0,
        **BLOCKS,
    ),
    model="lmkd",
    model_conf=dict(
        ctc_weight=1.0,
        distillers=[
            dict(
                type="interaed",
                conf=dict(
                    layers=[],
                    decoder_conf=dict(
                        BLOCKS,
                        dropout_rate=0.0,
                        positional_dropout_rate=0.0,
                        self_attention_dropout_rate=0.0,
                        src_attention_dropout_rate=0.0,
                    ),
                ),
            )
        ],
    ),
)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a torchrun with what trains on three utterances."""
    make_store(tmp_path)
    lines = []
    for index, utterance in enumerate(TEXTS):
        samples = np.random.default_rng(index).normal(0, 0.1, 9_000 + 999 * index)
        soundfile.write(tmp_path / f"{utterance}.wav", samples, 16_000)
        lines.append(f"{utterance} {utterance}.wav\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(CONFIG))
    training = ["--config", "conf.yaml", "--resume", "true", "--target_store", "store"]
    training += ["--multiprocessing_distributed", "false", "--ngpu", "0"]
    training += ["--dist_backend", "gloo"]
    training += ["--token_type", "char", "--token_list", "tokens.txt"]
    for part in ("train", "valid"):
        option = f"--{part}_data_path_and_name_and_type"
        training += [option, "wav.scp,speech,sound", option, "text,text,text"]
        training += [f"--{part}_shape_file", "wav.scp"]

    def start(torchrun, *options):
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run"]
            + [*torchrun, *training, *options],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def test_two_machines_meet_as_documented(start, tmp_path):
    """With the options of doc/cluster.md: torchrun alone says who is who and where."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    torchrun = ["--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d"]
    torchrun += ["--rdzv_endpoint", place, "--local_addr", "127.0.0.1"]
    torchrun += ["-m", "espnet_lmkd.bin.asr_kd_train"]
    machines = [
        start(torchrun, "--output_dir", "out", "--max_epoch", "1") for _ in (0, 1)
    ]
    logs = [machine.communicate()[0] for machine in machines]
    ends = [log[-3000:] for log in logs]
    assert [machine.returncode for machine in machines] == [0, 0], "\n\n".join(ends)
    # The first rank says how many there are; the others tell of errors only.
    first = [log for log in logs if ":0/2] " in log]
    assert len(first) == 1 and "1epoch results" in first[0]
    assert (tmp_path / "out" / "1epoch.pth").is_file()


def test_an_interrupted_training_ends_as_one_that_was_not(start, tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    ran = start(["--standalone", "--nproc_per_node", "2", "train.py"])
    log, _ = ran.communicate()
    assert ran.returncode == 0, log[-3000:]
    assert ":0/2] " in log

    def weights(out):
        return torch.load(tmp_path / out / "2epoch.pth", weights_only=True)

    straight, resumed = weights("straight"), weights("resumed")
    first = torch.load(tmp_path / "straight" / "1epoch.pth", weights_only=True)
    assert any(not torch.equal(first[name], straight[name]) for name in straight)
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)


def test_espnets_launcher_gives_slurm_what_this_training_understands(tmp_path):
    from espnet2.bin import launch

    from espnet_lmkd.asr.task import ASRKDTask

    slurm = tmp_path / "slurm.pl"
    slurm.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/given\n')
    slurm.chmod(0o755)
    training = ["python3", "-m", "espnet_lmkd.bin.asr_kd_train", "--seed", "3"]
    launch.main(
        ["--cmd", str(slurm), "--log", "train.log", "--ngpu", "4", "--num_nodes", "2"]
        + ["--init_file_prefix", f"{tmp_path}/.dist_init_", "--", *training]
    )
    given = (tmp_path / "given").read_text().splitlines()
    start = given.index("srun")
    assert given[start + 2 : start + 5] == training[:3]
    args = ASRKDTask.get_parser().parse_args(given[start + 5 :])
    assert (args.seed, args.ngpu, args.dist_launcher) == (3, 4, "slurm")
    assert args.multiprocessing_distributed
    assert args.dist_init_method.startswith(f"file://{tmp_path}/.dist_init_")
