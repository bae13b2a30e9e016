import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of import folded, spelling, students_of, teachers_of

from espnet_lmkd.alignment.coverage import Coverage
from espnet_lmkd.alignment.spans import align, blocks, lower
from espnet_lmkd.errors import InputError

STUDENTS = ("char", "word", "bpe")
TEACHERS = ("wordpiece", "byte_bpe", "byte_bpe_trimmed", "unigram", "byte_fallback")
LINES = [
    "THE QUICK BROWN FOX DIDN'T JUMP OVER 12 LAZY DOGS",
    "MISTER O'NEILL'S 1999 CAFÉ IN ZÜRICH, ISN'T IT?",
    "甚至 出现 交易 几乎 停滞 的 情况",
    "THE DOGS AND THE FOX JUMPED AND JUMPED",
] * 5
ALPHABET = "aAbTHEdogsé'’-.,0189ßİΣ  日本的ＡÅ😀\u0301"
# Normalised to several characters or none, within which offsets mean little.
EXPANDED = "½ﬁ\u200b\ufeff"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("bpe") / "bpe.model"
    return students_of(LINES, path, 110), teachers_of(LINES, 400)


def spans_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).offsets


def visible_part(text):
    """Return the characters that no tokenizer may drop."""
    return "".join(
        c for c in text if not c.isspace() and unicodedata.category(c)[0] not in "MC"
    )


def check_blocks(text, student_spans, teacher_spans, ranges):
    """Every token is in one block, in order, and the texts of blocks join."""
    found = blocks(ranges, len(teacher_spans))
    for side, count in ((0, len(student_spans)), (1, len(teacher_spans))):
        inside = [i for block in found for i in range(*block[side])]
        assert inside == list(range(count))
        assert all(first < end for first, end in (block[side] for block in found))
    slices = []
    for first, end in (block.student for block in found):
        starts, ends = zip(*student_spans[first:end])
        slices.append(text[min(starts) : max(ends)])
    assert visible_part("".join(slices)) == visible_part(text)
    return found


# A text and two ways to cut it, judged by a loop over all pairs of tokens.
@st.composite
def cut_texts(draw):
    text = draw(st.text("abc  ", min_size=1, max_size=12).filter(str.strip))

    def spans():
        cuts = draw(st.sets(st.integers(1, len(text) - 1))) if len(text) > 1 else ()
        edges = [0, *sorted(cuts), len(text)]
        return list(zip(edges, edges[1:]))

    return text, spans(), spans()


def visible(text, span):
    return {i for i in range(*span) if text[i] != " "}


@settings(max_examples=300, deadline=None)
@given(cut_texts())
def test_align_against_a_loop_over_all_pairs(case):
    text, student_spans, teacher_spans = case
    ranges = align(text, student_spans, teacher_spans)
    for span, (first, end) in zip(student_spans, ranges, strict=True):
        places = visible(text, span)
        if not places:
            later = [i for i in range(span[0], len(text)) if text[i] != " "]
            earlier = [i for i in range(span[0]) if text[i] != " "]
            places = set(later[:1] or earlier[-1:])
        overlapping = [
            j for j, other in enumerate(teacher_spans) if places & visible(text, other)
        ]
        assert (first, end) == (overlapping[0], overlapping[-1] + 1)


@settings(max_examples=300, deadline=None)
@given(cut_texts())
def test_blocks_are_the_smallest(case):
    text, student_spans, teacher_spans = case
    ranges = align(text, student_spans, teacher_spans)
    found = check_blocks(text, student_spans, teacher_spans, ranges)
    # Tokens are linked by overlap; a block is all that a link can reach.
    groups = [{i} for i in range(len(ranges))]
    for i, (first, end) in enumerate(ranges):
        for j, (other_first, other_end) in enumerate(ranges):
            if first < other_end and other_first < end and groups[i] is not groups[j]:
                groups[i] |= groups[j]
                for k in groups[j]:
                    groups[k] = groups[i]
    assert {frozenset(g) for g in groups} == {frozenset(range(*b[0])) for b in found}


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_blocks_spell_the_same(small, student, teacher):
    students, teachers = small
    student_of, teacher_of = students[student], teachers[teacher]
    compared = 0

    @settings(max_examples=100, deadline=None)
    @given(st.text(ALPHABET, min_size=1, max_size=40).filter(folded))
    def check(text):
        nonlocal compared
        encoding = teacher_of.encode(lower(text), add_special_tokens=False)
        tokens, spans = student_of.tokens(text), student_of.spans(text)
        assert len(tokens) == len(spans)
        ranges = align(text, spans, encoding.offsets)
        for block in check_blocks(text, spans, encoding.offsets, ranges):
            ours = spelling(student, tokens[slice(*block.student)])
            theirs = spelling(teacher, encoding.tokens[slice(*block.teacher)])
            if theirs is not None:
                compared += 1
                assert folded(ours) == folded(theirs)

    check()
    assert compared > 10


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_any_character(small, student, teacher):
    @settings(max_examples=100, deadline=None)
    @given(st.text(ALPHABET + EXPANDED, max_size=40).map(lambda text: f"a{text}"))
    def check(text):
        spans = small[0][student].spans(text)
        offsets = spans_of(small[1][teacher], lower(text))
        check_blocks(text, spans, offsets, align(text, spans, offsets))

    check()


def test_cases_by_hand(small):
    students, teachers = small
    wordpiece = teachers["wordpiece"]

    def words(text, student):
        spans = students[student].spans(text)
        encoding = wordpiece.encode(lower(text))
        return [
            "".join(encoding.tokens[first:end])
            for first, end in align(text, spans, encoding.offsets)
        ]

    assert words("THE FOX", "char") == ["the"] * 3 + ["fox"] * 4
    assert words("DIDN'T", "word") == ["didn't"]
    assert words("的 情", "char") == ["的", "情", "情"]
    # Accents are stripped by the teacher, whether they are characters or marks.
    assert words("CAFÉ", "char") == words("CAFE\u0301", "char")[:4] == ["cafe"] * 4
    # A word that is unknown as a whole keeps its place.
    assert words("THE ŁŁŁ FOX", "word") == ["the", "[UNK]", "fox"]


def test_a_character_of_several_byte_tokens(small):
    _, teachers = small
    tokenizer = teachers["byte_bpe"]
    spans = spans_of(tokenizer, "a ☃ b")
    assert sum(span == (2, 3) for span in spans) == 3
    ranges = align("a ☃ b", [(i, i + 1) for i in range(5)], spans)
    assert ranges[2][1] - ranges[2][0] == 3


def test_space_at_the_end_takes_the_token_before_it():
    assert align("ab ", [(0, 2), (2, 3)], [(0, 2)]) == [(0, 1), (0, 1)]
    assert align("a b", [(0, 1), (1, 2), (2, 3)], [(0, 1), (2, 3)])[1] == (1, 2)


@pytest.mark.parametrize(
    "spans, sentence",
    [
        ([(0, 2)], "leaves out character 3, 'c'"),
        ([(0, 2), (3, 4)], "leaves out character 4, 'd'"),
        ([(0, 5), (3, 4)], "no usable offsets"),
        ([(0, 2), (3, 9)], "no usable offsets"),
        ([], "leaves out character 0"),
    ],
)
@pytest.mark.parametrize("side", ["student", "teacher"])
def test_refuses_what_does_not_cover_the_text(spans, sentence, side):
    sides = {"student": [(0, 5)], "teacher": [(0, 5)], side: spans}
    with pytest.raises(InputError, match=sentence) as error:
        align("ab cd", sides["student"], sides["teacher"])
    assert side in str(error.value)


def test_refuses_a_teacher_that_truncates(small):
    students, teachers = small
    tokenizer = teachers["wordpiece"]
    text = "THE QUICK BROWN FOX"
    spans = spans_of(tokenizer, lower(text))
    with pytest.raises(InputError, match="the teacher's tokenizer leaves out"):
        align(text, students["bpe"].spans(text), spans[:-1])


@given(st.text())
def test_lower_moves_nothing(text):
    assert len(lower(text)) == len(text)
    for before, after in zip(text, lower(text)):
        assert after == before.lower() or (after == before and len(before.lower()) > 1)


def test_coverage_counts():
    coverage = Coverage()
    coverage.add([(0, 1), (1, 3), (3, 4), (3, 4), (4, 6), (5, 7)], 7, 1, 2)
    kinds = ("one_to_one", "one_to_many", "many_to_one", "many_to_many")
    assert [getattr(coverage, kind) for kind in kinds] == [1, 1, 1, 1]
    assert (coverage.student_tokens, coverage.teacher_tokens) == (6, 7)
    assert (coverage.student_unknown, coverage.teacher_unknown) == (1, 2)
    assert "of 4 blocks 25.0% 1:1" in str(coverage)


needs_data = pytest.mark.skipif(
    "LMKD_DATA" not in os.environ, reason="LMKD_DATA names no corpora"
)


@needs_data
def test_real_sentences(tmp_path):
    data = Path(os.environ["LMKD_DATA"])
    english = data / "librispeech_text/lm_text.txt"
    mandarin = next((data / "aishell_sample").rglob("aishell_transcript*.txt"))
    for path, start in ((english, 0), (mandarin, 1)):
        lines = path.read_text(encoding="utf-8").splitlines()[::100]
        lines = [" ".join(line.split()[start:]) for line in lines]
        teachers = teachers_of(lines, 3000)
        vocab_size = 200 if start == 0 else len(set("".join(lines))) + 5
        for kind, student in students_of(lines, tmp_path / "m", vocab_size).items():
            for teacher in teachers.values():
                for line in lines:
                    spans = student.spans(line)
                    offsets = spans_of(teacher, lower(line))
                    check_blocks(line, spans, offsets, align(line, spans, offsets))
