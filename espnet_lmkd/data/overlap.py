"""Sentences that occur both in training text and in held-out text."""

import gzip
from pathlib import Path

from espnet_lmkd.data.directory import read_table


def normalise(sentence):
    """Upper-case a sentence and reduce its white space, so that spellings compare.

    Example:
        >>> normalise("  the  Sea ")
        'THE SEA'
    """
    return " ".join(sentence.upper().split())


def read_sentences(path):
    """Iterate over the sentences of a text.

    Args:
        path: A table of "utterance words" lines if the file is called `text`, else one
            sentence a line (.gz is read too).

    Yields:
        str: The non-empty sentences as they are written.
    """
    path = Path(path)
    if path.name == "text":
        yield from read_table(path).values()
        return
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())


def remove_overlap(sentences, held_out):
    """Iterate over the sentences that do not occur as a whole in the held-out ones.

    Args:
        sentences: Iterable of str, for instance the text of a language model.
        held_out: Iterable of str: the transcripts of dev, test and unlabelled audio.

    Yields:
        str: The sentences that stay, as they are written.

    Example:
        >>> list(remove_overlap(["A sea", "two pairs"], ["a  SEA"]))
        ['two pairs']
    """
    held_out = {normalise(sentence) for sentence in held_out}
    for sentence in sentences:
        if normalise(sentence) not in held_out:
            yield sentence


def count_overlap(train_texts, held_out_texts):
    """Count the held-out utterances whose whole sentence occurs in a training text.

    Args:
        train_texts: Paths as for `read_sentences`.
        held_out_texts: Likewise.

    Returns:
        list[tuple[str, str, int, int]]: (training text, held-out text, utterances held
        out, those of them that occur in training), a row for every pair.
    """
    held_out = {
        path: [normalise(sentence) for sentence in read_sentences(path)]
        for path in held_out_texts
    }
    rows = []
    for train in train_texts:
        seen = {normalise(sentence) for sentence in read_sentences(train)}
        for path, sentences in held_out.items():
            repeated = sum(sentence in seen for sentence in sentences)
            rows.append((train, path, len(sentences), repeated))
    return rows


def markdown_table(rows):
    """Format the rows of `count_overlap` as a Markdown table."""
    lines = ["| training text | held-out text | utterances | in training |"]
    lines += ["|---|---|---:|---:|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
