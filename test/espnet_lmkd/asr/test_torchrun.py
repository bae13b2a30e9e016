"""Training under torchrun, and going on with it after an interruption."""

import os
import subprocess
import sys

import numpy as np
import soundfile
import torch
import yaml
from tiny_store import TEXTS, make_store

# The same training twice, the second time interrupted after its first epoch.
TRAINING = """
import os, sys, time
import torch
from espnet_lmkd.bin.asr_kd_train import main

for out, epochs in (("straight", "2"), ("resumed", "1"), ("resumed", "2")):
    meet = f"file://{os.getcwd()}/{out}{epochs}"  # torchrun's own place serves once
    training = ["--output_dir", out, "--max_epoch", epochs, "--dist_init_method", meet]
    main(sys.argv[1:] + training)
    time.sleep(1)  # gloo's threads let go of their last work, which needs this one
    torch.distributed.destroy_process_group()
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


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path):
    make_store(tmp_path)
    lines = []
    for index, utterance in enumerate(TEXTS):
        samples = np.random.default_rng(index).normal(0, 0.1, 9_000 + 999 * index)
        soundfile.write(tmp_path / f"{utterance}.wav", samples, 16_000)
        lines.append(f"{utterance} {utterance}.wav\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [*(sys.executable, "-m", "torch.distributed.run", "--standalone")]
    command += ["--nproc_per_node", "2", "train.py", "--config", "conf.yaml"]
    command += ["--multiprocessing_distributed", "false", "--ngpu", "0"]
    command += ["--dist_backend", "gloo", "--resume", "true"]
    command += ["--token_type", "char", "--token_list", "tokens.txt"]
    command += ["--target_store", "store"]
    for part in ("train", "valid"):
        option = f"--{part}_data_path_and_name_and_type"
        command += [option, "wav.scp,speech,sound", option, "text,text,text"]
        command += [f"--{part}_shape_file", "wav.scp"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]

    def weights(out):
        return torch.load(tmp_path / out / "2epoch.pth", weights_only=True)

    log = ran.stdout + ran.stderr
    assert "dist_world_size" in log or "/2]" in log
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
