"""The card of an exported student names its teachers and shows its results."""

import json
import re

import pytest

from espnet_lmkd.bin import upload_model
from espnet_lmkd.errors import InputError

MANIFEST = {
    "schema": 2,
    "side": "text",
    "targets": {"teacher_hidden": {"dim": 4, "dtype": "float16"}},
    "shuffled_seed": None,
    "teacher": {"id": "a/bert", "revision": "abc123", "weights_sha256": "f" * 64},
}


def row(system, change):
    return {
        "system": system,
        "test_set": "test",
        "seeds": 1,
        "wer": [12.5],
        "cer": [6.25],
        "change": change,
        "utterances": 10,
        "speakers": 2,
        "parameters": 1_500_000,
        "rtf": 0.01,
        "device": "cpu",
        "training_minutes": 3.0,
        "experiments": [f"exp/asr_{system}_seed1:decode_ctc_greedy"],
    }


@pytest.fixture
def exp(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/manifest.json").write_text(json.dumps(MANIFEST))
    change = {"relative": -0.1, "low": -0.2, "high": 0.05, "p_better": 0.9}
    for folder, systems in (("compare", ["ctc", "kd"]), ("compare_other", ["ctc"])):
        (tmp_path / "exp" / folder).mkdir(parents=True)
        rows = [row(name, change if name == "kd" else None) for name in systems]
        path = tmp_path / "exp" / folder / "compare.json"
        path.write_text(json.dumps(rows))
    return tmp_path / "exp" / "asr_kd_seed1"


EXPORTED = {"model": "espnet", "model_conf": {"ctc_weight": 1.0}}


def card_of(exp, *stores):
    from espnet_lmkd.asr.model_card import model_card

    conf = {"ctc_weight": 1.0, "distillers": [{"type": "lm_embedding", "weight": 0.3}]}
    config = {"model_conf": conf, "target_store": [str(store) for store in stores]}
    return model_card(exp, config, EXPORTED)


def test_it_names_teachers_and_results(exp):
    card = card_of(exp, exp.parent.parent / "store", exp.parent / "gone")
    assert card.startswith("---\nlibrary_name: espnet\n")
    assert "- `lm_embedding`, weight 0.3" in card
    assert (
        "- teacher_hidden of a/bert, revision abc123, weights ffffffffffffffff" in card
    )
    assert "gone held, which is gone" in card
    assert "|kd|1|12.50|6.25|-10.0 %|[-20.0, +5.0]|0.90|1.50 M|" in card
    assert card.count("## Results") == 1 and card.count("10 utterances") == 1


def test_a_student_without_teacher_or_comparison_has_a_short_card(tmp_path):
    from espnet_lmkd.asr.model_card import model_card

    config = {"model": "espnet", "model_conf": {"ctc_weight": 0.3}}
    card = model_card(tmp_path / "asr_a", config, config)
    assert "ctc_weight=1.0" not in card
    assert "Results" not in card and "learnt" not in card


def test_a_student_of_dumped_features_says_how_they_are_made(tmp_path):
    from espnet_lmkd.asr.model_card import model_card
    from espnet_lmkd.bin import dump_features

    exported = dict(EXPORTED, input_size=2048)
    config = {"model_conf": {}}
    card = model_card(tmp_path, config, exported)
    assert 'numpy.load("features.npy")' in card and "speech.wav" not in card
    assert "does not need" not in card and "--no-deps <checkout>" in card
    assert "--encoder <encoder>" in card and "left no record" in card
    # Features of several sets that were joined have no record; those of dev have.
    record = dict(source="a/whisper", commit="abc", dtype="float32", stack=4, size=2048)
    dump_features.check_record(tmp_path / "dev", record)
    for part in ("train", "dev"):
        triple = [f"{tmp_path}/{part}/feats.scp", "speech", "npy"]
        key = "valid" if part == "dev" else part
        config[f"{key}_data_path_and_name_and_type"] = [triple]
    card = model_card(tmp_path, config, exported)
    command = card.split("dump_features ")[1].split("\n\n")[0].replace("\\\n", "")
    command = re.sub(r"<.*?>", "x", command).split()
    args = dump_features.get_parser().parse_args(command)
    assert (args.encoder, args.revision, args.stack) == ("a/whisper", "abc", 4)
    assert "left no record" not in card


def test_a_dry_run_shows_what_would_go(tmp_path, capsys):
    for name in ("README.md", "model.pth", "config.yaml", "student.zip"):
        (tmp_path / name).write_text("x" * 1234)
    command = ["--exported", str(tmp_path), "--repo", "me/model", "--dry_run"]
    upload_model.main(command)
    found = capsys.readouterr().out
    assert "student.zip" not in found  # all of it once more
    assert "1,234 model.pth" in found and "nothing was sent" in found
    (tmp_path / "model.pth").unlink()
    with pytest.raises(InputError, match="no exported student; run stage 14"):
        upload_model.main.__wrapped__(command)
    (tmp_path / "model.pth").touch()
    with pytest.raises(InputError, match="user/name was wanted"):
        upload_model.main.__wrapped__(["--exported", str(tmp_path), "--repo", "model"])
