"""Judge: the gradient that a backward pass leaves on the parts of a student."""

import copy

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_store import TEXTS, make_store
from tiny_student import INTERAED, run

from espnet_lmkd.asr.gradients import gradient_norms, markdown
from espnet_lmkd.bin.gradient_norms import main
from espnet_lmkd.errors import InputError

STILL = dict(dropout_rate=0.0, positional_dropout_rate=0.0, attention_dropout_rate=0.0)
HIDDEN = dict(target_size=6)
# Students with the parts that train, and each distiller with those that it reaches.
TRANSDUCER = dict(decoder="transducer", ctc_weight=0.3)
STUDENTS = {
    "transducer": (
        TRANSDUCER,
        ["encoder", "decoder", "joint_network", "ctc"],
        [
            (dict(type="ctc_soft_label"), {"encoder", "ctc"}),
            (
                dict(type="lm_embedding", conf=dict(HIDDEN, source="predictor")),
                {"decoder"},
            ),
        ],
    ),
    "cif": (
        dict(decoder="lmkd_cif", ctc_weight=0.3),
        ["encoder", "decoder", "ctc"],
        [
            (dict(type="acoustic_contrastive", conf=HIDDEN), {"encoder", "decoder"}),
            (dict(type="ctc_soft_label"), {"encoder", "ctc"}),
        ],
    ),
    "attention": (
        dict(decoder="transformer", ctc_weight=0.3),
        ["encoder", "decoder", "ctc"],
        [
            (dict(type="attention_alignment"), {"encoder", "decoder"}),
            (dict(type="lm_embedding", conf=HIDDEN), {"encoder", "decoder"}),
        ],
    ),
}


def still(build_model, **entry):
    entry = {**INTERAED, **entry}
    return build_model(distillers=[entry], encoder_conf=STILL).eval()


def with_hidden(batch):
    batch["teacher_hidden"] = torch.randn(*batch["text"].shape, 6)
    batch["teacher_hidden_lengths"] = batch["text_lengths"].clone()
    return batch


def of_part(gradients, part):
    found = {n: g for n, g in gradients.items() if n.startswith(f"{part}.")}
    return torch.cat([found[name].flatten() for name in sorted(found)])


def test_terms_add_up_to_the_gradient_of_the_loss(build_model, batch):
    model = still(build_model, conf={**INTERAED["conf"], "kd_weight": 1.0})
    rows = gradient_norms(model, [batch])
    loss, stats, gradients = run(model, batch)
    for asr, term in (rows[:2], rows[2:]):
        whole = of_part(gradients, asr["part"])
        squared = asr["norm"] ** 2 + term["norm"] ** 2
        squared += 2 * term["cosine"] * asr["norm"] * term["norm"]
        assert squared**0.5 == pytest.approx(whole.norm().item(), rel=1e-3)
        assert asr["loss"] + term["loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert asr["cosine"] == pytest.approx(1.0, abs=1e-4) and asr["ratio"] == 1.0


def test_twice_the_weight_is_twice_the_norm(build_model, batch):
    rows = [
        gradient_norms(still(build_model, weight=weight), [batch, batch])[1]
        for weight in (0.5, 1.0)
    ]
    assert rows[1]["norm"] == pytest.approx(2 * rows[0]["norm"], rel=1e-3)
    assert rows[1]["cosine"] == pytest.approx(rows[0]["cosine"], abs=1e-3)
    assert "| encoder | interaed | 1 |" in markdown(rows)


@pytest.mark.parametrize("name", STUDENTS)
def test_each_part_of_a_student_is_seen(build_model, batch, name):
    student, parts, entries = STUDENTS[name]
    with_hidden(batch)

    def build(*weights):
        distillers = [dict(e, weight=w) for (e, _), w in zip(entries, weights)]
        return build_model(distillers=distillers, encoder_conf=STILL, **student).eval()

    rows = gradient_norms(build(0.5, 0.5), [copy.deepcopy(batch)])
    found = {(row["part"], row["term"]): row for row in rows}
    assert list(dict.fromkeys(row["part"] for row in rows)) == parts
    asr = run(build(0.0, 0.0), batch)[2]
    for weights, (entry, reached) in zip(((0.5, 0.0), (0.0, 0.5)), entries):
        both = run(build(*weights), batch)[2]
        for part in parts:
            own = of_part(both, part) - of_part(asr, part)
            row = found[part, entry["type"]]
            assert row["norm"] == pytest.approx(own.norm().item(), rel=1e-2, abs=1e-4)
            ratio = row["norm"] / of_part(asr, part).norm().item()
            assert row["ratio"] == pytest.approx(ratio, rel=1e-3)
            assert (row["norm"] > 1e-3) == (part in reached), (entry, part)


def test_frozen_parts_are_left_out_and_none_but_those_is_refused(build_model, batch):
    model = still(build_model)
    model.encoder.requires_grad_(False)
    assert {row["part"] for row in gradient_norms(model, [batch])} == {"ctc"}
    model.ctc.requires_grad_(False)
    with pytest.raises(
        InputError, match="a part that trains was wanted, all .* frozen"
    ):
        gradient_norms(model, [batch])


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """A transducer with two distillers as training leaves it; return its arguments."""
    from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

    from espnet_lmkd.asr.task import ASRKDTask, add_targets

    monkeypatch.chdir(tmp_path)
    make_store(tmp_path)
    lines = []
    for index, utterance in enumerate(TEXTS):
        samples = np.random.default_rng(index).normal(0, 0.1, 9_000 + 999 * index)
        soundfile.write(f"{utterance}.wav", samples, 16_000)
        lines.append(f"{utterance} {utterance}.wav\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    data = "--train_data_path_and_name_and_type"
    args = ASRKDTask.get_parser().parse_args(
        ["--token_type", "char", "--token_list", "tokens.txt", "--model", "lmkd"]
        + ["--target_store", "store", "--train_shape_file", "wav.scp"]
        + [data, "wav.scp,speech,sound", data, "text,text,text"]
        + ["--batch_type", "unsorted", "--batch_size", "2", "--num_workers", "0"]
        + ["--encoder", "transformer", "--decoder", "transducer", "--normalize", "none"]
    )
    blocks = dict(attention_heads=2, linear_units=8, num_blocks=1)
    args.encoder_conf = dict(blocks, output_size=8, input_layer="conv1d2")
    args.decoder_conf, args.joint_net_conf = dict(hidden_size=8), {}
    soft, interaed = dict(type="ctc_soft_label"), dict(type="interaed", weight=0.5)
    interaed["conf"] = dict(decoder_conf=blocks)
    args.model_conf = dict(ctc_weight=0.3, distillers=[soft, interaed])
    add_targets(args)
    (tmp_path / "exp").mkdir()
    model = ASRKDTask.build_model(args)
    torch.save(model.state_dict(), "exp/valid.loss.ave.pth")
    (tmp_path / "exp/config.yaml").write_text(yaml_no_alias_safe_dump(vars(args)))
    return tmp_path / "exp/config.yaml"


def test_the_command_prints_what_trains(experiment, capsys):
    main(["--exp", "exp", "--num_batches", "2"])
    head, line, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    terms, parts = ["asr", "ctc_soft_label", "interaed"], STUDENTS["transducer"][1]
    assert [row[:2] for row in cells] == [[p, t] for p in parts for t in terms]
    assert all(len(row) == head.count("|") - 1 for row in cells)
    assert [float(row[4]) > 0 for row in cells[:6]] == [True] * 3 + [True, False, False]

    def freeze(*parts):
        config = yaml.safe_load(experiment.read_text())
        experiment.write_text(yaml.safe_dump(dict(config, freeze_param=list(parts))))

    freeze("encoder", "ctc")
    main(["--exp", "exp", "--num_batches", "1"])
    out = capsys.readouterr().out
    assert "| joint_network | asr |" in out and "encoder" not in out
    freeze(*parts)
    with pytest.raises(SystemExit):
        main(["--exp", "exp", "--num_batches", "1"])
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: a recogniser")
