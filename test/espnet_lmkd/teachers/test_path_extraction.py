"""Targets along a transducer's paths, by the command."""

import numpy as np
import pytest
from tiny_transducer import (
    FRAMES,
    TEXTS,
    TOKENS,
    save_experiment,
    write_features,
    write_speech,
)

from espnet_lmkd.bin import check_targets, extract_targets
from espnet_lmkd.data.directory import read_table, write_lines, write_table
from espnet_lmkd.targets.schema import to_stored
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.teachers.pretrained import weights_sha256
from espnet_lmkd.teachers.transducer import TransducerTeacher


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return save_experiment(tmp_path_factory.mktemp("exp") / "asr_rnnt")


@pytest.fixture
def data_dir(tmp_path):
    return write_features(tmp_path / "train")


@pytest.fixture
def extract(tmp_path, model_file, data_dir):
    """Return a function that runs the command in this process."""
    write_lines(tmp_path / "tokens.txt", TOKENS)

    def extract(*options, out="store", **changes):
        arguments = dict(
            targets="teacher_path_topk",
            data_dir=data_dir,
            teacher=model_file,
            token_type="word",
            token_list=tmp_path / "tokens.txt",
            out=tmp_path / out,
            top_k=4,
            device="cpu",
        )
        arguments.update(changes)
        cmd = [x for key, value in arguments.items() for x in (f"--{key}", value)]
        extract_targets.main([str(x) for x in [*cmd, *options]])

    return extract


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check(data_dir, store, *options):
    cmd = ["--store", store, "--data_dir", data_dir, "--sha256"]
    cmd += ["--token_list", store.parent / "tokens.txt", *options]
    check_targets.main([str(x) for x in cmd])


def test_store_holds_what_the_teacher_says(
    extract, model_file, data_dir, tmp_path, capsys
):
    extract()
    printed = capsys.readouterr().out
    assert "4 utterances, about 40 frames, 13 tokens: about 0.0 MB" in printed
    assert "teacher_path_topk_ids: " in printed and "store complete" in printed
    config = model_file.with_name("config.yaml")
    teacher = TransducerTeacher(config, model_file, TOKENS, classes=4, device="cpu")
    for utterance, text in TEXTS.items():
        features = np.load(data_dir / f"{utterance}.npy").astype(np.float32)
        ids = [TOKENS.index(word) for word in text.split()]
        (expected,) = teacher.path_topk([(features, ids)])
        assert len(expected["teacher_path"]) == FRAMES[utterance] + len(ids)
        for name, array in expected.items():
            stored = TargetReader(tmp_path / "store" / f"{name}.scp")[utterance]
            np.testing.assert_allclose(stored, to_stored(name, array), atol=2e-3)
    manifest = read_manifest(tmp_path / "store")
    assert manifest["teacher"] == {
        "id": "asr_rnnt/model.pth",
        "revision": None,
        "class": "TransformerEncoder",
        "dtype": "float32",
        "weights_sha256": weights_sha256(teacher.model),
    }
    assert (manifest["side"], manifest["classes"]) == ("frame", "top_k")
    assert (manifest["top_k"], manifest["frames_per_second"]) == (4, 10.0)
    check(data_dir, tmp_path / "store")
    assert "4 utterances have their targets" in capsys.readouterr().out


def test_jobs_and_a_rerun_write_the_same_bytes(extract, tmp_path):
    extract("--shard_size", 1)
    for job in (2, 1):
        extract("--shard_size", 1, "--nj", 2, "--job", job, out="jobs")
    extract("--shard_size", 1, "--merge", out="jobs")
    assert contents(tmp_path / "store") == contents(tmp_path / "jobs")
    (tmp_path / "jobs" / "shard.1.json").unlink()
    extract("--shard_size", 1, out="jobs")
    assert contents(tmp_path / "store") == contents(tmp_path / "jobs")


def test_the_collapsed_lattice(extract, tmp_path):
    extract("--collapsed")
    ids = TargetReader(tmp_path / "store" / "teacher_path_topk_ids.scp")["utt1"]
    path = TargetReader(tmp_path / "store" / "teacher_path.scp")["utt1"]
    assert ids[:, 0].tolist() == [0] * len(ids)
    labels = [TOKENS.index(word) for word in TEXTS["utt1"].split()] + [-1]
    assert ids[:, 1].tolist() == [labels[u] for u in path[:, 1]]
    assert read_manifest(tmp_path / "store")["classes"] == "collapsed"


def refusal(capsys, function, *args, **conf):
    with pytest.raises(SystemExit) as end:
        function(*args, **conf)
    assert end.value.code == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    return line


def test_changed_audio_or_text_is_stale(extract, data_dir, tmp_path, capsys):
    extract()
    np.save(data_dir / "utt2.npy", np.load(data_dir / "utt2.npy") + 1)
    line = refusal(capsys, check, data_dir, tmp_path / "store")
    assert "1 utterances have other audio or features now: utt2; rerun stage 7" in line
    write_table(data_dir / "text", TEXTS | {"utt3": "b"})
    line = refusal(capsys, check, data_dir, tmp_path / "store")
    assert "another text now: utt3" in line
    extract()
    check(data_dir, tmp_path / "store")


def test_a_teacher_of_speech(extract, tmp_path, capsys):
    conf = dict(output_size=8, attention_heads=2, linear_units=8, num_blocks=1)
    teacher = save_experiment(
        tmp_path / "speech",
        input_size=None,
        frontend="default",
        encoder_conf=dict(conf, input_layer="conv2d"),
    )
    data_dir = write_speech(
        tmp_path / "wavs", {"utt1": 9000, "utt2": 24000, "utt3": 500, "utt4": 700}
    )
    line = refusal(capsys, extract, teacher=teacher, data_dir=data_dir)
    assert "2 utterances do not suit the teacher, first 'utt3' (0.031 s, too" in line
    extract("--drop_too_long", teacher=teacher, data_dir=data_dir)
    assert "2 utterances dropped" in capsys.readouterr().out
    reader = TargetReader(tmp_path / "store" / "teacher_path.scp")
    assert len(reader["utt3"]) == len(reader["utt4"]) == 0
    frames = read_table(tmp_path / "store" / "utt2num_frames")
    # 188 frames of 8 ms, twice subsampled. Of the shorter one in a batch ESPnet 202511
    # has one more than it has alone.
    assert frames["utt2"] == "46" and frames["utt1"] in ("17", "18")
    assert reader["utt2"][-1].tolist() == [45, 5]
    check(data_dir, tmp_path / "store")


def test_bad_options(extract, data_dir, tmp_path, capsys):
    assert "--top_k 12: the student has 11 tokens" in refusal(capsys, extract, top_k=12)
    assert "none.pth does not exist; train the transducer first" in refusal(
        capsys, extract, teacher=tmp_path / "none.pth"
    )
    text_only = ["--text", str(data_dir / "text")]
    cmd = ["--targets", "teacher_path_topk", "--teacher", "x", "--out", str(tmp_path)]
    cmd += ["--token_type", "word", "--token_list", str(tmp_path / "tokens.txt")]
    line = refusal(capsys, extract_targets.main, cmd + text_only)
    assert "give --data_dir, not --text" in line
    (data_dir / "utt1.npy").unlink()
    assert "utt1.npy does not exist; run stage 3" in refusal(capsys, extract)


def test_the_student_hears_something_else(extract, data_dir, tmp_path):
    """Targets are the teacher's own, hashes those of the student's audio."""
    extract()
    student_dir = write_speech(tmp_path / "raw", dict.fromkeys(TEXTS, 1600))
    parts = []
    for name, lines in (("labelled", slice(2)), ("unlabelled", slice(2, None))):
        parts.append(tmp_path / name)
        parts[-1].mkdir()
        for table in ("feats.scp", "utt2dur"):  # a text is not needed
            rows = (data_dir / table).read_text().splitlines()
            write_lines(parts[-1] / table, rows[lines])
    extract("--teacher_inputs", *parts, out="of_speech", data_dir=student_dir)
    for name in ("teacher_path", "teacher_path_topk_log_probs"):
        path = f"{name}.scp"
        own = TargetReader(tmp_path / "store" / path)
        other = TargetReader(tmp_path / "of_speech" / path)
        assert all((own[u] == other[u]).all() for u in TEXTS)
    check(student_dir, tmp_path / "of_speech")
    with pytest.raises(SystemExit):
        check(data_dir, tmp_path / "of_speech")


def test_what_the_teacher_cannot_hear(extract, data_dir, tmp_path, capsys):
    student_dir = write_speech(tmp_path / "raw", dict.fromkeys(TEXTS, 1600))
    for table in ("wav.scp", "feats.scp", "text", "utt2spk", "utt2dur"):
        lines = (data_dir / table).read_text().splitlines()
        write_lines(data_dir / table, lines[:-1])
    with pytest.raises(SystemExit):
        extract("--teacher_inputs", data_dir, data_dir=student_dir)
    assert "utterance 'utt4' is in none of" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        extract("--teacher_inputs", data_dir, tmp_path / "none", data_dir=student_dir)
    error = capsys.readouterr().err
    assert f"{tmp_path / 'none'}: feats.scp or wav.scp was wanted" in error
    with pytest.raises(SystemExit):
        extract("--teacher_inputs", data_dir, targets="teacher_hidden")
    assert "it is for teacher_path_topk" in capsys.readouterr().err
