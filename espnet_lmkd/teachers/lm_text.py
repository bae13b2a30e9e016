"""The text that a teacher is trained on, one sentence a line."""

from pathlib import Path

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.vocabulary import text_hash


def read_sentences(path) -> list[str]:
    """Read the sentences of a text, one a line; empty lines are left out.

    Raises:
        InputError: If there is no such file or no sentence in it.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such text; run stage 1 first")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise InputError(f"{path}: empty text; one sentence a line was wanted")
    return lines


def split_sentences(lines, encode, max_tokens):
    """Split sentences into token ids to train on and, one in fifty, to hold out.

    The sentences of the smallest hashes are held out, with all their copies: one at
    least and 200 at most.

    Args:
        lines: The sentences.
        encode: Maps a sentence to token ids.
        max_tokens: Longer ones are left out.

    Returns:
        Two lists of lists of ids; the second sorted by length, without copies.

    Raises:
        InputError: If nothing is left to train on.
    """
    encoded = {line: encode(line) for line in dict.fromkeys(lines)}
    encoded = {x: ids for x, ids in encoded.items() if 0 < len(ids) <= max_tokens}
    count = min(200, max(1, len(encoded) // 50))
    held_out = set(sorted(encoded, key=text_hash)[:count])
    train = [encoded[x] for x in lines if x in encoded and x not in held_out]
    if not train:
        raise InputError(
            f"{len(lines)} sentences, of which {len(encoded)} are different and have at"
            f" most {max_tokens} tokens, are too few to train on; give a longer text"
        )
    return train, sorted(
        (encoded[x] for x in held_out), key=lambda ids: (len(ids), ids)
    )
