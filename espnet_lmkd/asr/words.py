"""Which tokens make a word."""

import unicodedata
from typing import List, NamedTuple, Sequence

MARKS = ("<space>", "▁", "Ġ", "##")
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA")


class Timed(NamedTuple):
    """A token or a word and its time in seconds."""

    text: str
    start: float
    end: float


class WordJoiner:
    """Join the tokens of a student to words, by a rule that its token list decides.

    `▁` or `Ġ` in most pieces: they begin a word;  `##` in most: they continue one;
    `<space>` in the list: it parts words;  none of them: each token is a word.
    Chinese characters and Japanese syllables, which no space parts, are words by
    themselves wherever they are tokens, also beside English words.

    Args:
        token_list: (V,) the student's, so that one utterance does not decide.

    Example:
        >>> join = WordJoiner(["<blank>", "<unk>", "▁a", "b", "▁c"])
        >>> join([Timed("▁a", 0, 1), Timed("b", 1, 2), Timed("▁c", 3, 4)])
        [Timed(text='ab', start=0, end=2), Timed(text='c', start=3, end=4)]
    """

    def __init__(self, token_list: Sequence[str]):
        counts = [sum(t.startswith(mark) for t in token_list) for mark in MARKS]
        self.mark = MARKS[counts.index(max(counts))] if any(counts) else None

    def __call__(self, tokens: Sequence[Timed]) -> List[Timed]:
        """Return the words of an utterance."""
        if self.mark is None:
            return list(tokens)
        words, apart = [], True
        for token in tokens:
            marked = token.text.startswith(self.mark)
            text = token.text.removeprefix(self.mark)
            # A mark may be a token: that of a word's beginning, or a space.
            if text and (apart or self._begins(text, marked, words[-1].text)):
                words.append(token._replace(text=text))
            elif text:
                words[-1] = Timed(words[-1].text + text, words[-1].start, token.end)
            apart = not text
        return words

    def _begins(self, text: str, marked: bool, before: str) -> bool:
        if self.mark == "##":  # WordPiece cuts don't to don ' t
            return not (marked or text == "'" or before[-1] == "'")
        return marked or _is_unspaced(text[0]) or _is_unspaced(before[-1])


def _is_unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(UNSPACED)
