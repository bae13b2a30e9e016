"""Read AN4's own layout: etc/an4_<part>.{fileids,transcription} and wav/."""

import re

from espnet_lmkd.errors import InputError

AUDIO = (".sph", ".flac", ".wav", ".opus")


def read_transcription(path):
    """Read "<s> WORDS </s> (file)" lines.

    Args:
        path: A file such as etc/an4_train.transcription.

    Returns:
        dict[str, str]: File name without folder to its words.
    """
    table = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line)
        if match is None:
            raise InputError(
                f"{path}:{number}: 'WORDS (file)' was wanted, not '{line}'"
            )
        words = " ".join(match.group(1).split())
        if not words:
            raise InputError(f"{path}:{number}: '{match.group(2)}' has an empty text")
        table[match.group(2)] = words
    return table


def read_part(corpus, part):
    """Read one part of the corpus.

    The file an251-fash-b becomes utterance fash-an251-b, so that ids sort by speaker.

    Args:
        corpus: The folder with etc/ and wav/.
        part: "train" or "test".

    Returns:
        dict[str, dict[str, str]]: The tables wav.scp, text and utt2spk.
    """
    file_ids = corpus / "etc" / f"an4_{part}.fileids"
    if not file_ids.is_file():
        raise InputError(
            f"{corpus}: an AN4 folder with etc/{file_ids.name} was wanted;"
            " correct its path in db.sh or the environment"
        )
    texts = read_transcription(corpus / "etc" / f"an4_{part}.transcription")
    tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    for file_id in file_ids.read_text("utf-8").split():
        name = file_id.rpartition("/")[2]
        before, speaker, after = name.split("-")
        candidates = [corpus / "wav" / (file_id + suffix) for suffix in AUDIO]
        audio = next((path for path in candidates if path.is_file()), None)
        if audio is None or name not in texts:
            lacking = "transcription" if audio else f"audio file ({candidates[0]} ...)"
            raise InputError(f"{file_ids}: '{file_id}' has no {lacking}")
        utterance = f"{speaker}-{before}-{after}"
        tables["wav.scp"][utterance] = str(audio)
        tables["text"][utterance] = texts[name]
        tables["utt2spk"][utterance] = speaker
    return tables


def join(*parts):
    """Join the tables of several parts into one."""
    return {
        name: {k: v for part in parts for k, v in part[name].items()}
        for name in parts[0]
    }
