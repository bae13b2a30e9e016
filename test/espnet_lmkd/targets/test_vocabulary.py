import io
import unicodedata

import pytest

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.vocabulary import (
    StudentTokenizer,
    fingerprint,
    read_token_list,
    text_hash,
)

SENTENCES = [
    "THE QUICK BROWN FOX",
    "a Bag of wORDS it's",
    "ZÜRICH 日本 xylophone",
    "THE THE  QUICK",
    "x",
]


@pytest.fixture
def bpemodel(tmp_path):
    import sentencepiece

    model = io.BytesIO()
    lines = ["THE QUICK BROWN FOX JUMPS", "A LAZY DOG IT'S", "THE DOG"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=32,
        minloglevel=2,
    )
    path = tmp_path / "bpe.model"
    path.write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    names = [pieces.IdToPiece(i) for i in range(3, len(pieces))]
    return path, ["<blank>", "<unk>", *names, "<sos/eos>"]


@pytest.fixture
def wordpiece(tmp_path):
    from transformers import BertTokenizer

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", "a", "bag"]
    names += [*"bcdefghijklmnopqrstuvwxyz'", *(f"##{c}" for c in "abcdefgxyz")]
    tokenizer = BertTokenizer(vocab={name: i for i, name in enumerate(names)})
    tokenizer.save_pretrained(tmp_path / "wordpiece")
    return tmp_path / "wordpiece", names


def test_equals_espnet(bpemodel, wordpiece):
    from espnet2.text.build_tokenizer import build_tokenizer
    from espnet2.text.hugging_face_token_id_converter import HuggingFaceTokenIDConverter
    from espnet2.text.token_id_converter import TokenIDConverter

    characters = ["<blank>", "<unk>", "<space>", *"THEQUICKBRWNFOX", "<sos/eos>"]
    cases = {
        "bpe": (bpemodel[1], bpemodel[0]),
        "char": (list(dict.fromkeys(characters)), None),
        "word": (["<blank>", "<unk>", "THE", "QUICK", "<sos/eos>"], None),
        "hugging_face": (wordpiece[1], wordpiece[0]),
    }
    for token_type, (token_list, model) in cases.items():
        ours = StudentTokenizer(token_type, token_list, model)
        theirs = build_tokenizer(token_type, bpemodel=model)
        if token_type == "hugging_face":
            converter = HuggingFaceTokenIDConverter(str(model))
        else:
            converter = TokenIDConverter(token_list)
        for sentence in SENTENCES:
            tokens = theirs.text2tokens(sentence)
            assert ours.tokens(sentence) == tokens
            assert ours.ids(sentence) == converter.tokens2ids(tokens)


@pytest.mark.parametrize("sentence", [*SENTENCES, "cafe\u0301 ½ x", " a", "a "])
def test_spans_slice_the_tokens_out(bpemodel, wordpiece, sentence):
    cases = {
        "bpe": (bpemodel[1], bpemodel[0]),
        "char": (["<unk>"], None),
        "word": (["<unk>"], None),
        "hugging_face": (wordpiece[1], wordpiece[0]),
    }
    for token_type, arguments in cases.items():
        tokenizer = StudentTokenizer(token_type, *arguments)
        tokens, spans = tokenizer.tokens(sentence), tokenizer.spans(sentence)
        for token, (start, end) in zip(tokens, spans, strict=True):
            plain = token.removeprefix("##").replace("▁", " ").replace("<space>", " ")
            found = sentence[start:end]
            if token_type == "hugging_face":
                found = found.lower()
            assert token == "[UNK]" or without_accents(plain) == without_accents(found)


def without_accents(text):
    text = unicodedata.normalize("NFKD", text).strip()
    return "".join(c for c in text if not unicodedata.combining(c))


def test_a_truncating_folder_does_not_truncate(wordpiece):
    import tokenizers

    path, names = wordpiece
    file = str(path / "tokenizer.json")
    model = tokenizers.Tokenizer.from_file(file)
    model.enable_truncation(3)
    model.enable_padding(length=8)
    model.save(file)
    tokenizer = StudentTokenizer("hugging_face", names, path)
    assert tokenizer.tokens("the quick bag the bag") == "the quick bag the bag".split()
    assert tokenizer.tokens("the") == ["the"]


def test_reads_token_list_as_espnet(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("<blank>\n<unk>\n\u2581A\nb \n<sos/eos>\n", encoding="utf-8")
    assert read_token_list(path) == ["<blank>", "<unk>", "\u2581A", "b", "<sos/eos>"]


@pytest.mark.parametrize("content", ["a\nb\na\n", "a\n\nb\n"])
def test_names_the_line_of_a_bad_token_list(tmp_path, content):
    path = tmp_path / "tokens.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=r"tokens.txt:\d"):
        read_token_list(path)


def test_hash_ignores_white_space_only():
    assert text_hash("a  b\t") == text_hash("a b")
    assert text_hash("a b") != text_hash("ab") != text_hash("A b")


def test_fingerprint_sees_order():
    assert fingerprint(["a", "b"]) != fingerprint(["b", "a"])


def test_bad_tokenizers(wordpiece):
    path, names = wordpiece
    for arguments in (
        ("phn", ["<unk>"]),
        ("bpe", ["<unk>"], "no/such.model"),
        ("char", ["a"]),
        ("hugging_face", names, "no/such/folder"),
        ("hugging_face", [*names[:-2], "x", "y"], path),
    ):
        with pytest.raises(InputError):
            StudentTokenizer(*arguments)
