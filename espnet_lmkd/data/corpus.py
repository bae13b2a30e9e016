"""From a corpus's tables to its sets of utterances and its text for language models."""

import hashlib
from pathlib import Path

from espnet_lmkd.data.directory import validate, write_directory, write_lines
from espnet_lmkd.data.overlap import remove_overlap
from espnet_lmkd.errors import InputError


def hold_out_speakers(gender, number):
    """Choose speakers, always the same, evenly from the list by gender and name.

    Args:
        gender: Speaker to gender, or to "" where unknown.
        number: How many to choose.

    Returns:
        set[str]: The chosen speakers; a gender with 1/number of all speakers or more
        is among them.

    Example:
        >>> sorted(hold_out_speakers({"a": "f", "b": "m", "c": "f", "d": "m"}, 2))
        ['c', 'd']
    """
    if not 0 < number < len(gender):
        raise InputError(
            f"{number} of {len(gender)} speakers cannot be held out;"
            " at least one must be held out and one must stay"
        )
    speakers = sorted(gender, key=lambda speaker: (gender[speaker], speaker))
    step = len(speakers) / number
    return {speakers[int((k + 0.5) * step)] for k in range(number)}


def choose_percent(utterances, percent):
    """Choose this part of the utterances, always the same; a smaller part lies within.

    Args:
        utterances: List of ids.
        percent: 1 .. 100.

    Example:
        >>> choose_percent(["a", "b", "c", "d"], 50)
        ['c', 'd']
    """
    if not 1 <= percent <= 100:
        raise InputError(f"{percent} % of the utterances: 1 to 100 was wanted")
    by_hash = sorted(utterances, key=lambda x: hashlib.sha256(x.encode()).digest())
    return sorted(by_hash[: max(1, len(utterances) * percent // 100)])


def write_sets(out, tables, sets):
    """Write a data directory for every set of utterances and print its size.

    Args:
        out: Folder of the data directories, such as `data`.
        tables: File name ("wav.scp", "text", "utt2spk") to the table of all utterances.
        sets: Name of a set to its utterances.

    Raises:
        InputError: An utterance without text or audio.
    """
    for name, utterances in sets.items():
        directory = Path(out) / name
        write_directory(directory, tables, utterances)
        written = validate(directory)
        speakers = len(set(written["utt2spk"].values()))
        words = sum(len(text.split()) for text in written["text"].values())
        print(
            f"{directory}: {len(written['text'])} utterances,"
            f" {speakers} speakers, {words} words"
        )


def write_lm_text(path, sentences, held_out):
    """Write the text that language models may learn from: nothing that is held out.

    Args:
        path: The file to write, one sentence a line.
        sentences: Iterable of str.
        held_out: Iterable of str: all transcripts of dev, test and unlabelled audio.
    """
    read = written = 0

    def counted():
        nonlocal read
        for sentence in sentences:
            read += 1
            yield sentence

    def kept():
        nonlocal written
        for sentence in remove_overlap(counted(), held_out):
            written += 1
            yield sentence

    write_lines(path, kept())
    print(f"{path}: {written} sentences; {read - written} held-out ones removed")
