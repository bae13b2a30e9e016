import json
import math

import pytest

from espnet_lmkd.bin import pseudo_label
from espnet_lmkd.data.directory import read_table, validate, write_table
from espnet_lmkd.data.pseudo_labels import confidence, write_pseudo_labels
from espnet_lmkd.errors import InputError

# Two tokens a word; the geometric means of their probabilities are 0.9, 0.7 and 0.5.
HEARD = {"a-1": "THE SEA", "a-2": "A SALE", "b-1": "", "c-1": "TO SEA TWO"}
PROBABILITIES = {"a-1": [0.9] * 4, "a-2": [0.98, 0.5] * 2, "c-1": [0.25, 1.0] * 3}


@pytest.fixture
def decoded(tmp_path):
    columns = {
        "text": HEARD,
        "score": {
            utterance: f"{sum(map(math.log, PROBABILITIES.get(utterance, [1.0]))):.4f}"
            for utterance in HEARD
        },
        "token": {
            utterance: " ".join("x" * len(PROBABILITIES.get(utterance, ())))
            for utterance in HEARD
        },
    }
    for name, table in columns.items():
        write_table(tmp_path / "decode" / "train" / name, table)
    return tmp_path / "decode" / "train"


def test_confidence_is_the_geometric_mean():
    for probabilities in PROBABILITIES.values():
        score = sum(map(math.log, probabilities))
        mean = math.prod(probabilities) ** (1 / len(probabilities))
        assert confidence(score, len(probabilities)) == pytest.approx(mean)


@pytest.mark.parametrize(
    "threshold, kept", [(0.0, ["a-1", "a-2", "c-1"]), (0.6, ["a-1", "a-2"])]
)
def test_keeps_what_is_sure_enough(data_dir, decoded, tmp_path, threshold, kept):
    (data_dir / "text").unlink()  # unlabelled
    report = write_pseudo_labels(data_dir, decoded, threshold, tmp_path / "out")
    tables = validate(tmp_path / "out")
    assert tables["text"] == {utterance: HEARD[utterance] for utterance in kept}
    wavs = read_table(data_dir / "wav.scp")
    assert tables["wav.scp"] == {utterance: wavs[utterance] for utterance in kept}
    assert read_table(tmp_path / "out" / "spk2utt")["a"] == "a-1 a-2"
    assert report == json.loads((tmp_path / "out" / "pseudo_labels.json").read_text())
    assert report["kept"] == len(kept) and report["empty"] == 1
    assert report["below_min_confidence"] == 3 - len(kept)
    assert report["hours"] == pytest.approx(0.5 * len(kept) / 3600, abs=5e-4)


def test_the_reference_only_counts(data_dir, decoded, tmp_path, capsys):
    cmd = ["--data_dir", data_dir, "--decode_dir", decoded, "--out", tmp_path / "out"]
    cmd += ["--min_confidence", 0.6, "--reference", data_dir / "text"]
    pseudo_label.main([str(x) for x in cmd])
    printed = capsys.readouterr().out
    assert "2 of 4 hypotheses are kept" in printed
    assert "1 are empty, 0 hold symbols" in printed
    assert "1 are below confidence 0.6" in printed
    # Of 2 and 5 words: BY THE SEA is lost; and of 2 and 4: both, SEE and SEAS.
    references = read_table(data_dir / "text").values()
    assert len(" ".join(references).split()) == 13
    assert f"kept ones {300 / 7:.2f} %, of all {700 / 13:.2f} %" in printed
    assert read_table(tmp_path / "out" / "text")["a-2"] == "A SALE"


def test_features_go_along(data_dir, decoded, tmp_path):
    features = {utterance: f"{utterance}.npy" for utterance in HEARD}
    write_table(data_dir / "feats.scp", features)
    write_table(data_dir / "utt2dur", dict.fromkeys(HEARD, "3600.0"))
    (data_dir / "feats_type").write_text("speech_encoder\n")
    report = write_pseudo_labels(data_dir, decoded, 0.6, tmp_path / "out")
    assert report["hours"] == 2.0
    assert set(read_table(tmp_path / "out" / "feats.scp")) == {"a-1", "a-2"}
    assert (tmp_path / "out" / "feats_type").read_text() == "speech_encoder\n"


@pytest.mark.parametrize("symbol", ["<unk>", "<sos/eos>", "[UNK]"])
def test_a_symbol_is_no_text(data_dir, decoded, tmp_path, symbol):
    tokens = read_table_with_gaps(decoded / "token")
    write_table(decoded / "token", tokens | {"a-1": f"x x {symbol} x"})
    report = write_pseudo_labels(data_dir, decoded, 0.6, tmp_path / "out")
    assert (report["kept"], report["with_symbols"]) == (1, 1)
    assert report["below_min_confidence"] == 1
    assert list(read_table(tmp_path / "out" / "text")) == ["a-2"]


def test_a_token_of_white_space_is_no_text(data_dir, decoded, tmp_path):
    tokens = read_table_with_gaps(decoded / "token")
    write_table(decoded / "token", tokens | {"b-1": "\u2581"})
    report = write_pseudo_labels(data_dir, decoded, 0.0, tmp_path / "out")
    assert (report["kept"], report["empty"]) == (3, 1)


def read_table_with_gaps(path):
    return dict(line.partition(" ")[::2] for line in path.read_text().splitlines())


def test_says_what_is_wrong(data_dir, decoded, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="of 4 hypotheses none is kept: .*'empty': 1"):
        write_pseudo_labels(data_dir, decoded, 0.95, out)
    (tmp_path / "reference").write_text("a-1 THE SEA\n")
    with pytest.raises(InputError, match="no transcript of utterance 'a-2'"):
        write_pseudo_labels(data_dir, decoded, 0.0, out, tmp_path / "reference")
    write_table(decoded / "text", {"a-1": "THE SEA"})
    with pytest.raises(InputError, match=r"'a-2' of .* is not decoded \(3 such\)"):
        write_pseudo_labels(data_dir, decoded, 0.0, out)
    assert not out.exists()
    with pytest.raises(SystemExit):
        pseudo_label.main(
            ["--data_dir", "x", "--decode_dir", "x", "--out", "x"]
            + ["--min_confidence", "1.5"]
        )
    assert "--min_confidence 1.5: 0 .. 1" in capsys.readouterr().err
