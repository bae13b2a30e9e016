"""Every yaml of conf/ builds what it describes, offline."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CONFIGS = {
    path.relative_to(ROOT).as_posix(): path
    for path in ROOT.glob("conf/**/*.yaml")
    # Those of pretrained models: asr/speech_prompt/test_llm_configs.py; of ESPnet3:
    # asr/test_espnet3.py
    if path.parent.name not in ("llm", "espnet3")
    and "coder: lmkd_speech" not in path.read_text()
}


def of_kind(prefix):
    return [name for name, path in CONFIGS.items() if path.name.startswith(prefix)]


@pytest.fixture(scope="module")
def token_list(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    path.write_text("\n".join(["<blank>", "<unk>", *"abcdefgh", "<sos/eos>"]) + "\n")
    return str(path)


def dry_run(task, name, token_list, tmp_path):
    command = ["--config", str(CONFIGS[name]), "--dry_run", "true"]
    command += ["--iterator_type", "none", "--token_list", token_list]
    task.main(cmd=command + ["--output_dir", str(tmp_path)])
    assert (tmp_path / "config.yaml").is_file()


@pytest.mark.parametrize("name", of_kind("train_asr"))
def test_recogniser(name, token_list, tmp_path):
    from espnet_lmkd.asr.task import ASRKDTask

    dry_run(ASRKDTask, name, token_list, tmp_path)


@pytest.mark.parametrize(
    "first, second",
    [
        ("small/train_asr_ctc", "small/train_asr_rnnt"),
        ("small/train_asr_ctc_streaming", "small/train_asr_rnnt_streaming"),
        ("frozen/train_asr_ctc", "frozen/train_asr_rnnt"),
        ("frozen/train_asr_ctc", "frozen/train_asr_cif"),
    ],
)
def test_encoders_that_begin_as_another_ones(first, second, token_list):
    from espnet_lmkd.asr.task import ASRKDTask

    encoders = []
    for name in (first, second):
        args = ASRKDTask.get_parser().parse_args(
            ["--config", str(CONFIGS[f"conf/{name}.yaml"]), "--token_list", token_list]
        )
        encoders.append(ASRKDTask.build_model(args).encoder)
    encoders[1].load_state_dict(encoders[0].state_dict())


@pytest.mark.parametrize("name", of_kind("train_lm"))
def test_language_model(name, token_list, tmp_path):
    from espnet2.tasks.lm import LMTask

    dry_run(LMTask, name, token_list, tmp_path)


@pytest.mark.parametrize("name", [n for n in CONFIGS if "/teacher/" in n])
def test_teacher(name):
    from espnet_lmkd.teachers.config import DEFAULTS, complete_config, read_config

    assert complete_config(read_config(CONFIGS[name]))["mode"] in DEFAULTS


@pytest.mark.parametrize("name", of_kind("decode_"))
def test_decoding(name):
    from espnet_lmkd.asr.search import SearchOptions

    SearchOptions.from_yaml(CONFIGS[name])


def test_every_yaml_is_of_a_kind_that_is_tested():
    tested = of_kind("train_asr") + of_kind("train_lm") + of_kind("decode_")
    tested += [name for name in CONFIGS if "/teacher/" in name]
    assert sorted(tested) == sorted(CONFIGS)


@pytest.mark.parametrize("name", of_kind("train_asr"))
def test_head_comment_says_what_it_is(name):
    assert CONFIGS[name].read_text().startswith("# ")


@pytest.mark.parametrize(
    "name", ["cif", "kd_cif_acd", "kd_cif_lrd", "kd_cif_hierarchical"]
)
def test_cif_has_its_papers_batches_and_steps(name, tmp_path):
    """AISHELL-1 at three speeds: utterances of 4.5 s and 13 of 4233 characters."""
    from espnet2.samplers.num_elements_batch_sampler import NumElementsBatchSampler

    conf, shapes = (
        yaml.safe_load(CONFIGS[f"conf/train_asr_{name}.yaml"].read_text()),
        {},
    )
    for part, shape in ("speech", "72000"), ("text", "13,4233"):
        shapes[part] = tmp_path / part
        shapes[part].write_text("".join(f"{i} {shape}\n" for i in range(36_000)))
    batches = NumElementsBatchSampler(
        conf["batch_bins"], list(map(str, shapes.values()))
    )
    assert 4.5 * len(batches.batch_list[0]) == pytest.approx(600, rel=0.1)
    steps = 10 * len(batches) * conf["max_epoch"]
    last = conf["scheduler_conf"]["warmup_steps_list"][-1]
    assert steps == pytest.approx(last, rel=0.05)


def test_cif_without_token_history_says_what_was_measured():
    """Training time and WER of dev and test, as in the table of results."""
    head = CONFIGS["conf/frozen/train_asr_cif_parallel.yaml"].read_text()
    results = ROOT / "egs2/mini_librispeech/asr_kd1/results/cif/compare.md"
    lines = results.read_text().splitlines()
    dev, test = [s.split("|") for s in lines if s.startswith("|cif_parallel|")]
    assert f"# Expected: WER dev/test {dev[3]}/{test[3]} %" in head
    assert f"# Time: {dev[10].replace('min', 'minutes')} for 8 epochs" in head
