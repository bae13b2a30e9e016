"""`bin.rescore`: a causal LM's scores of sentences, and the files that are written."""

import json

import pytest
import torch
from tiny_llm import SENTENCES, save_llm, save_tokenizer

from espnet_lmkd.bin import rescore
from espnet_lmkd.data.directory import read_table, write_table
from espnet_lmkd.teachers.sentence_scores import SentenceScorer


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    save_llm("llama", folder, vocab_size=64)
    save_tokenizer(folder)
    return folder


def test_scores_are_those_of_the_models_own_loss(lm):
    scorer = SentenceScorer.from_pretrained(str(lm))
    scorer.batch_tokens = 24  # several batches
    texts = [*SENTENCES, ""]
    for text, score in zip(texts, scorer(texts)):
        ids = scorer.tokenizer(text, add_special_tokens=False).input_ids
        ids = torch.tensor([[1, *ids, 2]])  # <|im_start|> .. <|im_end|>
        mean = scorer.model(input_ids=ids, labels=ids).loss
        assert score == pytest.approx(-float(mean) * (ids.shape[1] - 1), rel=1e-4)


def run(lm, decode_dirs, out, *more):
    rescore.main(
        [
            *("--decode_dirs", *map(str, decode_dirs), "--lm", str(lm)),
            *("--text_case", "lower", "--output_dir", str(out), *more),
        ]
    )


@pytest.fixture
def decoded(lm, tmp_path):
    """Two sets; what was said has the search's lower score and, always, the LM's."""
    scorer, folders = SentenceScorer.from_pretrained(str(lm)), []
    low, high = sorted(("the cat", "no one"), key=lambda text: scorer([text])[0])
    for name in ("dev", "test"):
        folder = tmp_path / "decode" / name
        hyps = [[low.upper(), ["x"], -1.0], [high.upper(), ["y", "z"], -1.1]]
        write_table(folder / "nbest", {f"{name}_1": json.dumps(hyps)})
        report = dict(seconds_audio=2.0, seconds_compute=1.0, rtf=0.5, parameters=7)
        (folder / "rtf.json").write_text(json.dumps(report))
        folders.append(folder)
    write_table(tmp_path / "text", {"dev_1": high.upper()})
    return folders, high.upper(), tmp_path / "text"


def test_weights_tuned_on_the_first_set_serve_all(lm, decoded, tmp_path, capsys):
    folders, said, text = decoded
    out = tmp_path / "rescored"
    more = ("--lm_weight", "0", "1", "--tune_text", str(text))
    run(lm, folders, out, *more)
    assert "|1.0|0.0|0.00|" in capsys.readouterr().out
    for name in ("dev", "test"):
        assert read_table(out / name / "text") == {f"{name}_1": said}
        assert read_table(out / name / "token") == {f"{name}_1": "y z"}
        report = json.loads((out / name / "rtf.json").read_text())
        assert report["rescored"]["lm_weight"] == 1.0
        assert report["seconds_compute"] > 1.0 and report["parameters"] > 7


def test_several_weights_want_a_text(lm, decoded, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(lm, decoded[0], tmp_path / "out", "--lm_weight", "0", "1")
    assert "want the --tune_text" in capsys.readouterr().err
