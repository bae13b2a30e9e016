import gzip

from hypothesis import given
from hypothesis import strategies as st

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.data.overlap import count_overlap, read_sentences, remove_overlap

sentence = st.text("ab ", min_size=1, max_size=4).filter(str.strip)


@given(st.lists(sentence), st.lists(sentence))
def test_nothing_held_out_stays_and_nothing_else_goes(lines, held_out):
    kept = list(remove_overlap(lines, held_out))
    expected = []
    for line in lines:
        same = [other for other in held_out if line.split() == other.split()]
        if not same:
            expected.append(line)
    assert kept == expected


def test_case_and_white_space_do_not_hide_a_sentence():
    assert list(remove_overlap(["the  sea", "the sea is"], [" THE Sea\n"])) == [
        "the sea is"
    ]


def test_counts_per_pair_of_texts(tmp_path):
    (tmp_path / "lm.txt").write_text(
        "THE SEA\n\ntwo  pairs\nA LINE\n", encoding="utf-8"
    )
    with gzip.open(tmp_path / "lm.txt.gz", "wt", encoding="utf-8") as out:
        out.write("ELSE\n")
    for name, table in {
        "train": {"u1": "TWO PAIRS"},
        "dev": {"v1": "two pairs", "v2": "the sea", "v3": "THE SEA", "v4": "NEW"},
        "test": {"w1": "SEA"},
    }.items():
        write_table(tmp_path / name / "text", table)
    train = [tmp_path / "lm.txt", tmp_path / "lm.txt.gz", tmp_path / "train" / "text"]
    held_out = [tmp_path / "dev" / "text", tmp_path / "test" / "text"]
    counts = [row[2:] for row in count_overlap(train, held_out)]
    assert counts == [(4, 3), (1, 0), (4, 0), (1, 0), (4, 1), (1, 0)]
    assert list(read_sentences(tmp_path / "lm.txt")) == [
        "THE SEA",
        "two  pairs",
        "A LINE",
    ]
