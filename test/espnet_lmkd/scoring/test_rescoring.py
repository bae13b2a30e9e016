"""Choosing among hypotheses by hand-made scores."""

import json

import pytest

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.rescoring import choose, read_nbest, tune

HEARD = {
    "a": [["THE KAT", ["t", "k"], -1.0], ["THE CAT", ["t", "c"], -1.5]],
    "b": [["A DOG", ["d"], -2.0], ["A DOG RAN", ["d", "r"], -2.6]],
    "c": [],
}
LM = {"THE KAT": -9.0, "THE CAT": -5.0, "A DOG": -4.0, "A DOG RAN": -6.0}
SAID = {"a": "the cat", "b": "a dog ran", "c": "oh"}


@pytest.fixture
def nbest(tmp_path):
    write_table(tmp_path / "nbest", {u: json.dumps(h) for u, h in HEARD.items()})
    asked = []

    def score(texts):
        asked.extend(texts)
        return [LM[text] for text in texts]

    found = read_nbest(tmp_path, score)
    assert sorted(asked) == sorted(LM)  # each once
    return found


@pytest.mark.parametrize(
    "lm_weight, length_bonus, texts",
    [
        (0.0, 0.0, ["THE KAT", "A DOG"]),
        (0.2, 0.0, ["THE CAT", "A DOG"]),  # -1.5 - 1.0 against -1.0 - 1.8
        (0.2, 1.1, ["THE CAT", "A DOG RAN"]),  # -2.6 - 1.2 + 2.2 against -2 - 0.8 + 1.1
    ],
)
def test_weights_decide(nbest, lm_weight, length_bonus, texts):
    chosen = choose(nbest, lm_weight, length_bonus)
    assert [hyp.text for hyp in chosen.values()] == [*texts, ""]
    assert [hyp.tokens for hyp in chosen.values()][2] == []


def test_tuning_finds_the_lowest_wer_and_of_equals_the_smallest(nbest):
    results = tune(nbest, SAID, [0.3, 0.0, 0.2], [0.0, 1.1])
    assert results[0] == (0.2, 1.1, pytest.approx(100 / 6))  # "oh" is missing
    assert results[-1][:2] == (0.0, 0.0)
    assert len(results) == 6


def test_what_is_missing_is_named(nbest, tmp_path):
    with pytest.raises(InputError, match="no transcript of utterance 'c'"):
        tune(nbest, {"a": "x", "b": "y"}, [0.1], [0.0])
    with pytest.raises(InputError, match="decode with nbest above 1"):
        read_nbest(tmp_path / "nowhere", list)
