"""Counts are judged by a plain Levenshtein loop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import (
    count_errors,
    read_hypotheses,
    score,
    splitter,
)

WORDS = st.lists(st.sampled_from(["a", "b", "cat", "ä"]), max_size=9)


def fewest(reference, hypothesis):
    """Return the fewest errors, and the fewest substitutions among such alignments."""
    rows = [[(j, 0) for j in range(len(hypothesis) + 1)]]
    for i, left in enumerate(reference, 1):
        row = [(i, 0)]
        for j, right in enumerate(hypothesis, 1):
            ways = [rows[-1][j - 1], rows[-1][j], row[-1]]
            costs = [(1, 1) if left != right else (0, 0), (1, 0), (1, 0)]
            row.append(min((e + x, s + y) for (e, s), (x, y) in zip(ways, costs)))
        rows.append(row)
    return rows[-1][-1]


@given(WORDS, WORDS)
def test_counts_are_those_of_a_plain_loop(reference, hypothesis):
    counts = count_errors(reference, hypothesis)
    assert (counts.errors, counts.substitutions) == fewest(reference, hypothesis)
    assert counts.length == len(reference)
    recognised = counts.correct + counts.substitutions + counts.insertions
    assert recognised == len(hypothesis)
    assert min(counts) >= 0


def test_units_are_espnets():
    assert splitter("wer")("the  cat") == ["the", "cat"]
    assert splitter("cer")("the cat ") == list("the") + ["<space>"] + list("cat")


def test_units_of_sentence_pieces(tmp_path):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat", "a cat", "the mat"] * 20),
        model_prefix=str(tmp_path / "bpe"),
        vocab_size=14,
        minloglevel=2,
    )
    split = splitter("ter", tmp_path / "bpe.model")
    assert "".join(split("the cat")) == "▁the▁cat"
    with pytest.raises(InputError, match="no.model"):
        splitter("ter", tmp_path / "no.model")


def test_empty_hypotheses_are_read(tmp_path):
    (tmp_path / "text").write_text("a hello\nb \nc\n")
    assert read_hypotheses(tmp_path / "text") == {"a": "hello", "b": "", "c": ""}
    (tmp_path / "text").write_text("a hello\na you\n")
    with pytest.raises(InputError, match="text:2: duplicate id 'a'"):
        read_hypotheses(tmp_path / "text")
    with pytest.raises(InputError, match="stage 12"):
        read_hypotheses(tmp_path / "nothing")


@pytest.mark.parametrize(
    "hypotheses, utt2spk, message",
    [
        ({"a": "x"}, {"a": "s", "b": "s"}, "without a hypothesis.*: b"),
        ({"a": "x", "b": "", "z": ""}, {"a": "s", "b": "s"}, "not in the ref.*: z"),
        ({"a": "x", "b": ""}, {"a": "s"}, "without a speaker.*: b"),
    ],
)
def test_utterances_must_match(hypotheses, utt2spk, message):
    with pytest.raises(InputError, match=message):
        score({"a": "x", "b": "y"}, hypotheses, utt2spk, str.split)
