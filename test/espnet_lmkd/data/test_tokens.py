import re

import pytest
import sentencepiece

from espnet_lmkd.data.directory import write_table
from espnet_lmkd.data.tokens import make_tokens
from espnet_lmkd.errors import InputError

SENTENCES = [
    f"THE {who} WILL {what} {how} BY THE {where}"
    for who in ("KNIGHT", "QUEEN", "SAILOR", "BAKER", "WRITER")
    for what in ("SAIL", "SELL", "WRITE", "BUY")
    for how in ("TWO", "TOO", "RIGHT")
    for where in ("SEA", "CASTLE", "QUAY")
]


@pytest.fixture
def text(tmp_path):
    table = {f"u{i:03d}": sentence for i, sentence in enumerate(SENTENCES)}
    write_table(tmp_path / "text", table)
    return tmp_path / "text"


def order_by_a_plain_loop(tokens):
    """ESPnet's tokenize_text: a stable sort by falling count, specials around it."""
    counts = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    ordered = []
    for count in sorted(set(counts.values()), reverse=True):
        ordered += [token for token in counts if counts[token] == count]
    return ordered


def test_characters_in_espnets_order(text, tmp_path):
    make_tokens([text], "char", tmp_path / "char")
    found = (tmp_path / "char" / "tokens.txt").read_text().splitlines()
    letters = [c if c != " " else "<space>" for line in SENTENCES for c in line]
    expected = ["<blank>", "<unk>", *order_by_a_plain_loop(letters), "<sos/eos>"]
    assert found == expected
    assert not (tmp_path / "char" / "bpe.model").exists()


def test_pieces_in_espnets_order(text, tmp_path):
    tokens = make_tokens([text], "bpe", tmp_path / "bpe", vocab_size=30)
    assert (tmp_path / "bpe" / "tokens.txt").read_text().splitlines() == tokens
    assert len(tokens) == len(set(tokens)) == 30
    model = sentencepiece.SentencePieceProcessor()
    model.load(str(tmp_path / "bpe" / "bpe.model"))
    pieces = [piece for line in SENTENCES for piece in model.EncodeAsPieces(line)]
    ordered = order_by_a_plain_loop(pieces)
    assert tokens[:2] == ["<blank>", "<unk>"] and tokens[-1] == "<sos/eos>"
    assert tokens[2 : 2 + len(ordered)] == ordered
    everything = {model.IdToPiece(i) for i in range(model.vocab_size())}
    assert set(tokens[2:-1]) == everything - {"<unk>", "<s>", "</s>"}


def test_the_same_text_gives_the_same_model(text, tmp_path):
    for name in ("one", "two"):
        make_tokens([text], "bpe", tmp_path / name, vocab_size=30)
    one, two = (tmp_path / name / "bpe.model" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_texts_are_joined(text, tmp_path):
    write_table(tmp_path / "more", {"v": "ZZZ"})
    tokens = make_tokens([text, tmp_path / "more"], "char", tmp_path / "char")
    assert "Z" in tokens


def test_too_large_a_vocabulary_names_the_largest_one(text, tmp_path):
    with pytest.raises(InputError, match="supports at most") as error:
        make_tokens([text], "bpe", tmp_path / "bpe", vocab_size=9999)
    largest = int(re.search(r"at most (\d+)", str(error.value)).group(1))
    tokens = make_tokens([text], "bpe", tmp_path / "bpe", vocab_size=largest)
    assert len(tokens) == largest
    with pytest.raises(InputError, match="supports at most"):
        make_tokens([text], "bpe", tmp_path / "bpe", vocab_size=largest + 1)


def test_too_small_a_vocabulary_names_the_smallest_one(text, tmp_path):
    with pytest.raises(InputError, match="vocab_size 5: the text has") as error:
        make_tokens([text], "bpe", tmp_path / "bpe", vocab_size=5)
    smallest = int(re.search(r"vocab_size (\d+) or more", str(error.value)).group(1))
    assert len(make_tokens([text], "bpe", tmp_path / "bpe", smallest)) == smallest


def test_what_is_missing_is_said(text, tmp_path):
    with pytest.raises(InputError, match="bpe wants a --vocab_size"):
        make_tokens([text], "bpe", tmp_path / "bpe")
    with pytest.raises(InputError, match="bpe or char, not 'word'"):
        make_tokens([text], "word", tmp_path / "word")
    write_table(tmp_path / "none", {})
    with pytest.raises(InputError, match="no sentence to make tokens from"):
        make_tokens([tmp_path / "none"], "char", tmp_path / "char")
