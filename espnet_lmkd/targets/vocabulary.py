"""The student's vocabulary: the only place where text becomes token ids."""

import hashlib
import re
from pathlib import Path

from espnet_lmkd.errors import InputError


def read_token_list(path) -> list[str]:
    """Read an ESPnet token list, one token a line; the line number is the id.

    Args:
        path: File such as ``data/token_list/bpe_300/tokens.txt``.

    Returns:
        The tokens in the order of their ids.

    Raises:
        InputError: If the file is missing, or holds an empty or repeated line.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such token list; run stage 5 first")
    tokens, seen = [], set()
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            # As ESPnet reads it: a leading white space may itself be the token.
            token = line[0] + line[1:].rstrip()
            if token == "\n" or token in seen:
                raise InputError(
                    f"{path}:{number}: token {token!r} is empty or a repetition;"
                    " run stage 5 again"
                )
            seen.add(token)
            tokens.append(token)
    return tokens


def fingerprint(token_list) -> str:
    """Return the SHA-256 of the tokens joined by line ends, as hex digits.

    Example:
        >>> fingerprint(["<blank>", "<unk>", "a", "<sos/eos>"])[:8]
        'da1a6af0'
    """
    return hashlib.sha256("\n".join(token_list).encode()).hexdigest()


def tokenizer_record(token_type, token_list) -> dict:
    """Describe a tokenizer as the manifest of a target store does.

    Returns:
        Dict with the keys ``fingerprint``, ``token_type`` and ``vocab_size``.
    """
    return {
        "fingerprint": fingerprint(token_list),
        "token_type": token_type,
        "vocab_size": len(token_list),
    }


def normalize_space(text) -> str:
    """Return the words of ``text`` joined by single spaces."""
    return " ".join(text.split())


def text_hash(text) -> str:
    """Return the first 16 hex digits of the SHA-256 of the space-normalised text.

    Example:
        >>> text_hash("two  words ") == text_hash("two words")
        True
    """
    return hashlib.sha256(normalize_space(text).encode()).hexdigest()[:16]


class StudentTokenizer:
    """Split text into the student's tokens exactly as ESPnet does, without ESPnet.

    Args:
        token_type: ``bpe``, ``char``, ``word`` or ``hugging_face``.
        token_list: The student's tokens in the order of their ids.
        bpemodel: For ``bpe`` a SentencePiece model, for ``hugging_face`` the folder
            of a prepared teacher with its ``tokenizer.json``; otherwise unused.

    Raises:
        InputError: If the model is missing or its vocabulary is not ``token_list``.

    Example:
        >>> chars = StudentTokenizer("char", ["<blank>", "<unk>", "<space>", "a"])
        >>> chars.tokens("a b"), chars.ids("a b"), chars.spans("a b")
        (['a', '<space>', 'b'], [3, 2, 1], [(0, 1), (1, 2), (2, 3)])
    """

    def __init__(self, token_type, token_list, bpemodel=None):
        choices = {
            "bpe": self._load_bpe,
            "char": lambda model: (_split_characters, _character_spans),
            "word": lambda model: (str.split, _word_spans),
            "hugging_face": self._load_hugging_face,
        }
        if token_type not in choices:
            raise InputError(
                f"token_type {token_type!r} is not known; choose one of"
                f" {', '.join(choices)}"
            )
        self.token_type = token_type
        self.token_list = list(token_list)
        self._token_to_id = {token: i for i, token in enumerate(self.token_list)}
        self._split, self._spans = choices[token_type](bpemodel)

        # A Hugging Face tokenizer knows its own unknown token.
        if "<unk>" not in self._token_to_id and token_type != "hugging_face":
            raise InputError("the token list has no <unk>; run stage 5 again")
        self.unk_id = self._token_to_id.get("<unk>", self._token_to_id.get("[UNK]"))

    def tokens(self, text) -> list[str]:
        """Return the tokens of a sentence, as they are before unknown ones are lost."""
        return self._split(text)

    def ids(self, text) -> list[int]:
        """Return the ids of a sentence; a token outside the list becomes ``<unk>``."""
        return [
            self._token_to_id.get(token, self.unk_id) for token in self._split(text)
        ]

    def spans(self, text) -> list[tuple]:
        """Return the (start, end) characters of each token, white space included."""
        return self._spans(text)

    def record(self) -> dict:
        """Return `tokenizer_record` of this tokenizer."""
        return tokenizer_record(self.token_type, self.token_list)

    def _load_bpe(self, bpemodel):
        import sentencepiece

        if bpemodel is None or not Path(bpemodel).is_file():
            raise InputError(f"bpemodel {bpemodel}: no such SentencePiece model")
        model = sentencepiece.SentencePieceProcessor()
        model.load(str(bpemodel))

        def spans(text):
            pieces = model.EncodeAsImmutableProto(text).pieces
            return [(piece.begin, piece.end) for piece in pieces]

        return model.EncodeAsPieces, spans

    def _load_hugging_face(self, bpemodel):
        import tokenizers

        path = Path(bpemodel or "", "tokenizer.json")
        if not path.is_file():
            raise InputError(
                f"bpemodel {bpemodel}: a folder with tokenizer.json was wanted;"
                " prepare_teacher writes one"
            )
        model = tokenizers.Tokenizer.from_file(str(path))
        # Some folders come with both switched on; ESPnet asks for neither.
        model.no_truncation()
        model.no_padding()
        for i, token in enumerate(self.token_list):
            if model.id_to_token(i) != token:
                raise InputError(
                    f"token {i} is {token!r} in the token list but"
                    f" {model.id_to_token(i)!r} in {path}; use the folder's tokens.txt"
                )

        def encode(text):
            return model.encode(text, add_special_tokens=False)

        return lambda text: encode(text).tokens, lambda text: encode(text).offsets


def _split_characters(text):
    return ["<space>" if character == " " else character for character in text]


def _character_spans(text):
    return [(i, i + 1) for i in range(len(text))]


def _word_spans(text):
    return [match.span() for match in re.finditer(r"\S+", text)]
