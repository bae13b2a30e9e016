"""The variants that scripts/search.sh makes of a configuration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "egs2/TEMPLATE/asr_kd1/scripts/search.sh"
OWN = dict(type="attention_alignment", weight=0.3)  # the baseline's, no teacher
TEACHING = [
    dict(type="lm_embedding", name="a", weight=0.9),
    dict(type="interaed", weight=dict(start=0.0, end=1.0, batches=20)),
    dict(type="ctc_soft_label"),  # of its default weight
]


@pytest.fixture
def search(tmp_path):
    """Return a function that gives {variant's file: weights}, and what it printed."""
    (tmp_path / "path.sh").touch()
    (tmp_path / "run.sh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "run.sh").chmod(0o755)
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{folder}:{environment['PATH']}"

    def search(entries, factors, **variables):
        conf = dict(
            optim_conf=dict(lr=0.5),
            scheduler_conf=dict(warmup_lr_list=[0.0, 0.5]),
            model_conf=dict(distillers=entries),
        )
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(conf))
        ran = subprocess.run(
            [SCRIPT, "run.sh", "x.yaml", "1 2", factors, "--nj", "3"],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
        )
        found = {}
        for path in tmp_path.glob("exp/search/*.yaml"):
            variant = yaml.safe_load(path.read_text())
            found[path.name] = [
                e["weight"] for e in variant["model_conf"]["distillers"]
            ]
            rate = 0.5 * int(path.name.split("_lr")[1][0])
            assert variant["optim_conf"]["lr"] == rate
            assert variant["scheduler_conf"]["warmup_lr_list"] == [0.0, rate]
        return found, ran

    return search


def test_the_weights_of_those_that_read_a_teacher(search):
    found, ran = search([OWN, *TEACHING], "0.5 3")
    assert ran.returncode == 0, ran.stderr
    arguments = ran.stdout.splitlines()
    configs = arguments[arguments.index("--asr_configs") + 1].split()
    assert sorted(configs) == sorted(f"exp/search/{name}" for name in found)
    assert len(found) == 4 and arguments[:2] == ["--nj", "3"]
    for lr in (1, 2):
        for factor in (0.5, 3):
            own, a, ramp, soft = found[f"x_lr{lr}_weight{factor:g}.yaml"]
            assert own == 0.3 and soft == pytest.approx(0.3 * factor)
            assert a == pytest.approx(0.9 * factor)
            assert ramp == dict(start=0.0, end=factor, batches=20)


def test_a_baseline_has_learning_rates_only(search):
    found, _ = search([OWN], "0.5 3")
    assert found == {f"x_lr{lr}.yaml": [0.3] for lr in (1, 2)}


def test_named_ones_alone(search):
    found, _ = search([OWN, TEACHING[0]], "2", NAMES="attention_alignment")
    assert found == {
        f"x_lr{lr}_attention_alignment_weight2.yaml": [0.6, 0.9] for lr in (1, 2)
    }
    found, ran = search([OWN, TEACHING[0]], "2", NAMES="a lm_embedding")
    assert ran.returncode == 1 and not ran.stdout
    assert ran.stderr.strip() == (
        "error: NAMES: x.yaml has no distillers ['lm_embedding']; choose from "
        "['attention_alignment', 'a']"
    )


def test_too_few_arguments_print_how_it_is_called():
    ran = subprocess.run([SCRIPT], capture_output=True, text=True)
    assert ran.returncode == 2 and "scripts/search.sh <run.sh>" in ran.stderr
    assert "shellcheck" not in ran.stderr
