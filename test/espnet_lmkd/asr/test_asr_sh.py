"""Students distilled in ESPnet's mini_an4 recipe by its own asr.sh: doc/asr_sh.md."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from asr_sh import AsrSh

from espnet_lmkd.bin import (
    extract_targets,
    format_data,
    make_tokens,
    perturb_speed,
    prepare_teacher,
)
from espnet_lmkd.data.directory import read_table

ROOT = Path(__file__).resolve().parents[3]
TOKENS = "data/en_token_list/bpe_unigram30"
TOKENIZER = ["--token_type", "bpe", "--token_list", f"{TOKENS}/tokens.txt"]
TOKENIZER += ["--bpemodel", f"{TOKENS}/bpe.model"]

# As mini_an4's own configurations for tests are: sizes that only show that it runs.
TRAINING = dict(
    batch_type="unsorted",
    batch_size=4,
    max_epoch=1,
    keep_nbest_models=1,
    init="xavier_uniform",
    num_att_plot=1,
    optim="adam",
    optim_conf=dict(lr=0.005),
    scheduler="warmuplr",
    scheduler_conf=dict(warmup_steps=4),
    model="lmkd",
)
BLOCKS = dict(attention_heads=2, linear_units=4, num_blocks=2)
TRANSFORMER = dict(
    encoder="transformer",
    encoder_conf=dict(output_size=4, input_layer="conv1d2", **BLOCKS),
)
HIDDEN = dict(type="lm_embedding", weight=0.1)
STUDENTS = {
    "ctc": dict(
        **TRANSFORMER,
        model_conf=dict(
            ctc_weight=1.0,
            distillers=[
                dict(
                    type="interaed",
                    conf=dict(layers=[1], decoder_conf=dict(BLOCKS, num_blocks=1)),
                )
            ],
        ),
    ),
    "attention": dict(
        **TRANSFORMER,
        decoder="transformer",
        decoder_conf=BLOCKS,
        model_conf=dict(ctc_weight=0.3, lsm_weight=0.1, distillers=[HIDDEN]),
    ),
    "rnn": dict(
        batch_type="folded",  # sorts a batch by length, as its encoder wants
        encoder="vgg_rnn",
        encoder_conf=dict(num_layers=1, hidden_size=4, output_size=4),
        decoder="rnn",
        decoder_conf=dict(hidden_size=4),
        model_conf=dict(distillers=[dict(HIDDEN, conf=dict(source="ctc"))]),
    ),
    "transducer": dict(
        **TRANSFORMER,
        decoder="transducer",
        decoder_conf=dict(rnn_type="lstm", num_layers=1, hidden_size=8),
        joint_net_conf=dict(joint_space_size=8),
        model_conf=dict(
            ctc_weight=0.3,
            report_cer=False,
            report_wer=False,
            distillers=[dict(HIDDEN, type="lm_embedding_transducer")],
        ),
    ),
}
BEST = {"ctc": "cer_ctc", "transducer": "loss"}  # else acc
SEARCH = {"ctc": ["--ctc_weight", "1.0"], "transducer": ["--beam_size", "1"]}


def source_of_mini_an4():
    """Return what the recipe's db.sh would."""
    given, data = os.environ.get("MINI_AN4"), os.environ.get("LMKD_DATA")
    return given or (f"{os.path.abspath(data)}/mini_an4" if data else "")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """mini_an4 after stage 5, with the teacher and the targets that the page makes."""
    folder = tmp_path_factory.mktemp("mini_an4") / "asr1"
    folder.mkdir()
    data_py = ROOT / "egs2/mini_an4/asr_kd1/local/data.py"
    command = [sys.executable, data_py, "--source", source_of_mini_an4()]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "mini AN4 is neither" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr
    teacher = ["--teacher", "exp/teacher", *TOKENIZER]
    text = "data/train_nodev/text"  # its copies at other speeds say the same
    with contextlib.chdir(folder):
        original, perturbed = "data/train_nodev", "data/train_nodev_sp"
        perturb_speed.main(["--data_dir", original, "--out", perturbed])
        for name in ("train_nodev_sp", "train_dev", "test"):
            raw = f"dump/raw/{name}"
            format_data.main(["--data_dir", f"data/{name}", "--out", raw])
        size = ["--vocab_size", "30"]
        make_tokens.main(["--text", text, "--out", TOKENS, *size])
        config = f"{ROOT}/conf/teacher/bert_student_tiny.yaml"
        prepare_teacher.main(
            ["--config", config, "--lm_text", "data/local/lm_train.txt"]
            + ["--out", "exp/teacher", "--device", "cpu", *TOKENIZER]
        )
        for target in ("teacher_topk", "teacher_hidden"):
            extract_targets.main(
                ["--text", text, *teacher, "--targets", target, "--device", "cpu"]
                + ["--out", f"dump/targets/{target}"]
            )
    return folder


@pytest.mark.parametrize("name", STUDENTS)
def test_stages_10_to_14_of_asr_sh(name, recipe, monkeypatch, tmp_path):
    from espnet2.bin.asr_inference import Speech2Text
    from espnet_model_zoo.downloader import ModelDownloader

    monkeypatch.setattr(ModelDownloader.__init__, "__defaults__", (tmp_path,))
    monkeypatch.chdir(recipe)
    best = BEST.get(name, "acc")
    criterion = ["valid", best, "max" if best == "acc" else "min"]
    config = {**TRAINING, **STUDENTS[name], "best_model_criterion": [criterion]}
    Path("conf").mkdir(exist_ok=True)
    Path("conf", f"{name}.yaml").write_text(yaml.safe_dump(config))
    stores = ["dump/targets/teacher_topk", "dump/targets/teacher_hidden"]
    asr_args = ["--num_workers", "0", "--target_store", *stores]
    search = SEARCH.get(name, ["--beam_size", "2", "--maxlenratio", "-5"])
    asr_sh = AsrSh(
        *(f"conf/{name}.yaml", "train_nodev_sp", "train_dev", "test"),
        *(TOKENS, best, asr_args, search),
    )

    asr_sh.collect_stats()
    asr_sh.train()
    (distiller,) = config["model_conf"]["distillers"]
    checkpoint = torch.load(asr_sh.exp / "checkpoint.pth", weights_only=False)
    stats = checkpoint["reporter"]["stats"][1]
    # Not one of the copies at other speeds went without the targets of its text.
    missing = [k for k in stats["train"] if "without_targets" in k]
    assert missing and not any(stats["train"][k] for k in missing)
    assert stats["train"][f"loss_{distiller['type']}"] > 0
    assert f"loss_{distiller['type']}" not in stats["valid"]

    asr_sh.decode()
    references = read_table(asr_sh.test_dir / "text")
    guesses = read_table(asr_sh.decoded / "text")
    assert guesses.keys() == references.keys()
    for kind, (reference, guess) in asr_sh.score().items():
        assert len(reference) == len(guess) == len(references), kind
    assert sum("".join(x.split()) != "" for x in reference) == len(references)

    options = dict(zip([x[2:] for x in search[::2]], map(float, search[1::2])))
    options["beam_size"] = int(options.get("beam_size", 20))
    packed = Speech2Text.from_pretrained(str(asr_sh.pack()), **options)
    for utterance, path in read_table(asr_sh.test_dir / "wav.scp").items():
        text = packed(soundfile.read(path, dtype="float32")[0])[0][0]
        assert text.strip() == guesses[utterance]
