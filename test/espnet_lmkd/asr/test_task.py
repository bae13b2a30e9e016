"""What importing the task adds to ESPnet, and what training refuses to start on."""

import argparse
import sys
from pathlib import Path

import pytest
from tiny_store import TEXTS, TOKENS, make_store

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.errors import InputError

INTERAED = dict(type="interaed", conf=dict(decoder_conf=dict(num_blocks=1)))


@pytest.fixture
def recipe(tmp_path):
    """A token list, texts and the store extracted for them."""
    make_store(tmp_path)
    return tmp_path


def arguments(recipe, *extra):
    from espnet_lmkd.asr.task import ASRKDTask

    args = ASRKDTask.get_parser().parse_args(
        ["--token_type", "char", "--token_list", f"{recipe}/tokens.txt"]
        + ["--target_store", f"{recipe}/store", "--output_dir", f"{recipe}/exp"]
        + ["--train_data_path_and_name_and_type", f"{recipe}/wav.scp,speech,sound"]
        + ["--train_data_path_and_name_and_type", f"{recipe}/text,text,text", *extra]
    )
    args.model_conf = dict(ctc_weight=1.0, distillers=[INTERAED])
    return args


def check(args):
    from espnet_lmkd.asr.task import add_targets, check_targets

    add_targets(args)
    check_targets(args)


def test_help_names_what_is_registered(capsys):
    from espnet_lmkd.asr.task import ASRKDTask

    with pytest.raises(SystemExit):
        ASRKDTask.get_parser().parse_args(["--help"])
    shown = capsys.readouterr().out
    for name in ("lmkd", "lmkd_bert_kd", "interaed", "--target_store"):
        assert name in shown


def test_a_store_brings_its_data_entries(recipe):
    args = arguments(recipe)
    check(args)
    added = args.train_data_path_and_name_and_type[2:]
    assert [(name, kind) for _, name, kind in added] == [
        ("teacher_topk_ids", "lmkd_target"),
        ("teacher_topk_log_probs", "lmkd_target"),
    ]


def test_a_baseline_needs_no_store(recipe):
    args = arguments(recipe)
    args.model_conf = dict(ctc_weight=1.0)
    args.target_store = ["nowhere"]
    check(args)
    assert len(args.train_data_path_and_name_and_type) == 2


def test_a_live_teacher_stands_for_a_store_and_is_checked_before_training(recipe):
    teacher = dict(asr_train_config="gone/config.yaml", asr_model_file="gone.pth")
    args = arguments(recipe)
    args.model_conf["distillers"] = [dict(type="one_best_path")]
    with pytest.raises(InputError, match="teacher_path, which 0 of the stores"):
        check(args)
    args.model_conf["live_teacher"] = teacher
    with pytest.raises(InputError, match="gone/config.yaml: no such file"):
        check(args)
    assert len(args.train_data_path_and_name_and_type) == 2


def test_espnet_reads_the_store_also_for_speed_perturbed_copies(recipe):
    """Through ESPnet's own dataset and collate function."""
    from espnet2.train.collate_fn import CommonCollateFn
    from espnet2.train.dataset import ESPnetDataset

    import espnet_lmkd.asr.task  # noqa: F401  registers the loader

    store = recipe / "store"
    dataset = ESPnetDataset(
        [
            (f"{store}/{name}.scp", name, "lmkd_target")
            for name in ("teacher_topk_ids", "teacher_topk_log_probs")
        ]
    )
    _, batch = CommonCollateFn(0.0, -1)([dataset["utt_b"], dataset["sp0.9-utt_a"]])
    assert batch["teacher_topk_ids_lengths"].tolist() == [3, 5]
    assert batch["teacher_topk_ids"][0, 3:].eq(-1).all()
    assert batch["teacher_topk_log_probs"][1].sub(-2.0).abs().max() < 0.005


def test_stale_text(recipe):
    write_table(recipe / "text", {**TEXTS, "utt_b": "bag"})
    with pytest.raises(InputError, match="another text now: utt_b"):
        check(arguments(recipe))


def test_an_utterance_the_store_does_not_know(recipe):
    write_table(recipe / "text", {**TEXTS, "utt_d": "bag"})
    with pytest.raises(InputError, match="have no targets: utt_d"):
        check(arguments(recipe))


def test_another_tokenizer(recipe):
    (recipe / "tokens.txt").write_text("\n".join(TOKENS[:-2] + TOKENS[-1:]) + "\n")
    with pytest.raises(InputError, match="another tokenizer"):
        check(arguments(recipe))


def test_no_store(recipe):
    args = arguments(recipe)
    args.target_store = None
    with pytest.raises(InputError, match="--target_store"):
        check(args)
    args.target_store = [str(recipe / "other")]
    with pytest.raises(InputError, match="other"):
        check(args)


def test_unknown_distiller_is_one_sentence_and_exit_code_1(recipe, capsys):
    from espnet_lmkd.bin.asr_kd_train import main

    command = ["--token_list", f"{recipe}/tokens.txt", "--output_dir", f"{recipe}/exp"]
    command += ["--model", "lmkd", "--model_conf", "distillers=[{type: interead}]"]
    with pytest.raises(SystemExit) as stop:
        main(command)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert stop.value.code == 1
    assert last.startswith("error: unknown distiller type 'interead'; choose one of")


def test_plug_runs_other_modules_and_scripts(tmp_path, monkeypatch, capsys):
    from espnet_lmkd.__main__ import main

    monkeypatch.setattr(sys, "argv", ["plug"])
    main(["-m", "calendar", "2026", "1"])
    assert "January 2026" in capsys.readouterr().out
    script = tmp_path / "script.py"
    script.write_text("import sys; sys.exit(int(sys.argv[1]))")
    with pytest.raises(SystemExit) as stop:
        main([str(script), "3"])
    assert stop.value.code == 3


def test_plug_maps_espnets_training_to_ours(recipe, monkeypatch, capsys):
    from espnet_lmkd.__main__ import main

    monkeypatch.setattr(sys, "argv", ["plug"])
    with pytest.raises(SystemExit):
        main(["-m", "espnet2.bin.asr_train", "--help"])
    assert "--target_store" in capsys.readouterr().out


def test_the_installed_folder_is_this_one():
    import espnet_lmkd

    here = Path(__file__).resolve().parents[3]
    assert Path(espnet_lmkd.__file__).resolve().parent == here / "espnet_lmkd"


def test_resuming_with_other_options_is_refused(recipe):
    """ESPnet would find the training finished and report the old model."""
    import yaml

    from espnet_lmkd.asr.task import check_resume

    args = arguments(recipe, "--resume", "true", "--seed", "3")
    folder = recipe / "exp"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        yaml.safe_dump({**vars(args), "token_list": TOKENS, "required": None})
    )
    check_resume(args)  # nothing was trained yet
    (folder / "checkpoint.pth").touch()
    args.max_epoch += 1
    check_resume(args)
    with pytest.raises(InputError, match="with other data_digest"):
        check_resume(argparse.Namespace(**{**vars(args), "data_digest": "x"}))
    args.model_conf = dict(args.model_conf, interctc_weight=0.5)
    args.seed = 4
    with pytest.raises(InputError, match="with other seed, model_conf; remove"):
        check_resume(args)


def test_a_digest_knows_text_and_stores(recipe):
    from espnet_lmkd.asr.task import add_targets, data_digest

    (recipe / "wav.scp").write_text("a a.wav\n")
    args = arguments(recipe)
    add_targets(args)
    found = {data_digest(args)}
    for path in (recipe / "text", recipe / "store" / "manifest.json"):
        path.write_text(path.read_text() + " ")
        found.add(data_digest(args))
    assert len(found) == 3


def test_a_store_that_nobody_reads_is_left_out(recipe):
    from espnet_lmkd.asr.task import add_targets

    args = arguments(recipe)
    args.model_conf = dict(ctc_weight=1.0)
    add_targets(args)
    assert args.target_store is None
    assert len(args.train_data_path_and_name_and_type) == 2
