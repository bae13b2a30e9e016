"""One text cut by two tokenizers: which tokens of one lie over which of the other.

A token is known by the characters it spans and never by its spelling, so ``##ing``,
``▁ing`` and ``Ġing`` are alike and no vocabulary is shared. The rules:

* White space around a token is no part of it. A token of white space alone, such as
  ``<space>``, takes the token that follows it, or at the end the one before it.
* A character cut into bytes belongs to each of its byte tokens.
* A combining mark or control character that a tokenizer dropped (an accent, a byte
  order mark) belongs to the token before it, or at the beginning to the first.
* Any other character outside of all tokens is an error: nothing is ever cut off.
"""

import unicodedata
from typing import NamedTuple

from espnet_lmkd.errors import InputError


class Block(NamedTuple):
    """Smallest run of tokens that begins and ends at the same places on both sides.

    Args:
        student: First token and the one after the last.
        teacher: Likewise.
    """

    student: tuple
    teacher: tuple


def lower(text) -> str:
    """Return the text in lower case, each character in its place.

    Example:
        >>> lower("DON'T"), len("İ".lower()), len(lower("İ"))
        ("don't", 2, 1)
    """
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


# What a teacher is given to read, character by character that of the student.
TEXT_CASES = {"as_is": str, "lower": lower}


def align(text, student_spans, teacher_spans) -> list[tuple]:
    """Return for each student token the range of teacher tokens that overlap it.

    Args:
        text: The sentence.
        student_spans: (start, end) characters of each student token, in order.
        teacher_spans: Likewise of the teacher's, at least one.

    Returns:
        (first, after last) of each student token, neither ever decreasing and never
        empty.

    Raises:
        InputError: If spans go backwards or leave a character of the text out.

    Example:
        >>> align("IT IS", [(0, 1), (1, 2), (2, 3), (3, 5)], [(0, 2), (3, 5)])
        [(0, 1), (0, 1), (1, 2), (1, 2)]
    """
    student = _tokens_at(text, student_spans, "student")
    teacher = _tokens_at(text, teacher_spans, "teacher")
    ranges = [None] * len(student_spans)
    for i, character in enumerate(text):
        if not character.isspace():
            for token in range(*student[i]):
                first, _ = ranges[token] or teacher[i]
                ranges[token] = (first, teacher[i][1])
    return [
        tokens or teacher[min(start, len(text) - 1)]
        for tokens, (start, _) in zip(ranges, student_spans)
    ]


def blocks(ranges, num_teacher_tokens) -> list[Block]:
    """Cut both sides into the smallest blocks; each token is in exactly one.

    A teacher token over white space alone joins the block that follows it.

    Args:
        ranges: From `align`.
        num_teacher_tokens: Number of teacher tokens.

    Example:
        >>> blocks([(0, 1), (0, 1), (1, 2), (1, 2)], 2)
        [Block(student=(0, 2), teacher=(0, 1)), Block(student=(2, 4), teacher=(1, 2))]
    """
    starts = [i for i in range(1, len(ranges)) if ranges[i][0] >= ranges[i - 1][1]]
    student = [0, *starts, len(ranges)]
    teacher = [0, *(ranges[i - 1][1] for i in starts), num_teacher_tokens]
    return [
        Block(*sides)
        for sides in zip(zip(student, student[1:]), zip(teacher, teacher[1:]))
    ]


def _tokens_at(text, spans, side):
    """Return for each character the range of tokens over it."""
    at = [None] * len(text)
    before = (0, 0)
    for token, (start, end) in enumerate(spans):
        if not (before[0] <= start <= end <= len(text) and before[1] <= end):
            raise InputError(
                f"token {token} of the {side} spans characters {start} to {end} after"
                f" {before[0]} to {before[1]} of {len(text)}: its tokenizer gives no"
                f" usable offsets; take another {side}"
            )
        before = (start, end)
        for i in range(start, end):
            if not text[i].isspace():
                at[i] = (at[i][0] if at[i] else token, token + 1)

    for i, character in enumerate(text):
        if at[i] is None and not character.isspace():
            if unicodedata.category(character)[0] not in "MC":
                raise InputError(
                    f"the {side}'s tokenizer leaves out character {i}, {character!r},"
                    f" of {text!r}; remove it from the text or take another {side}"
                )
            at[i] = at[i - 1] if i else None

    following = next((tokens for tokens in reversed(at) if tokens), None)
    if following is None:
        raise InputError(f"the {side}'s tokenizer finds no token in {text!r}")
    for i in reversed(range(len(text))):
        at[i] = following = at[i] or following
    return at
