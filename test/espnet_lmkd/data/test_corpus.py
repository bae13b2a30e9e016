import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_lmkd.data.corpus import hold_out_speakers, write_lm_text, write_sets
from espnet_lmkd.data.directory import validate
from espnet_lmkd.errors import InputError


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from("fm"), min_size=2))
def test_speakers_are_held_out_from_every_large_enough_gender(gender):
    for number in range(1, len(gender)):
        chosen = hold_out_speakers(gender, number)
        assert len(chosen) == number and chosen < set(gender)
        assert chosen == hold_out_speakers(dict(reversed(gender.items())), number)
        for sex in set(gender.values()):
            group = {speaker for speaker in gender if gender[speaker] == sex}
            if len(group) * number >= len(gender):
                assert group & chosen


@pytest.mark.parametrize("number", [0, 2, 3])
def test_an_impossible_number_is_refused(number):
    with pytest.raises(InputError, match=f"{number} of 2 speakers cannot be held out"):
        hold_out_speakers({"a": "f", "b": "m"}, number)


def test_sets_are_data_directories(data_dir, tmp_path, capsys):
    sets = {"dev": ["b-1"], "rest": ["a-2", "a-1"]}
    write_sets(tmp_path / "out", validate(data_dir), sets)
    assert list(validate(tmp_path / "out" / "rest")["text"]) == ["a-1", "a-2"]
    assert "rest: 2 utterances, 1 speakers, 7 words" in capsys.readouterr().out


def test_lm_text_holds_nothing_held_out(tmp_path, capsys):
    write_lm_text(tmp_path / "local" / "lm.txt", ["A B", "C", "a  b"], ["a b"])
    assert (tmp_path / "local" / "lm.txt").read_text() == "C\n"
    assert "1 sentences; 2 held-out ones removed" in capsys.readouterr().out
