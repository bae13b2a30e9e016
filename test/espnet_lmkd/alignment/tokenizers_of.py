"""Small tokenizers of every kind, trained on a few sentences, and how they spell."""

import io
import unicodedata

import sentencepiece
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from espnet_lmkd.targets.vocabulary import StudentTokenizer

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def students_of(lines, bpe_path, vocab_size):
    """Return a `StudentTokenizer` of each kind that needs no transformers."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="bpe",
        minloglevel=2,
    )
    bpe_path.write_bytes(model.getvalue())
    tokens = ["<unk>"]
    return {
        "char": StudentTokenizer("char", tokens),
        "word": StudentTokenizer("word", tokens),
        "bpe": StudentTokenizer("bpe", tokens, bpe_path),
    }


def teachers_of(lines, vocab_size):
    """Return a tokenizer of each family of teachers."""
    lines = [line.lower() for line in lines]
    sizes = dict(vocab_size=vocab_size, show_progress=False)

    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer()
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(special_tokens=["[UNK]"], **sizes)
    wordpiece.train_from_iterator(lines, trainer)

    byte_bpe = Tokenizer(models.BPE())
    byte_bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **sizes)
    byte_bpe.train_from_iterator(lines, trainer)
    trimmed = Tokenizer.from_str(byte_bpe.to_str())
    trimmed.post_processor = processors.ByteLevel(trim_offsets=True)

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.NFKC()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        special_tokens=["<unk>"], unk_token="<unk>", **sizes
    )
    unigram.train_from_iterator(lines, trainer)

    fallback = Tokenizer(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    fallback.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(special_tokens=["<unk>", *BYTES], **sizes)
    fallback.train_from_iterator(lines, trainer)
    return {
        "wordpiece": wordpiece,
        "byte_bpe": byte_bpe,
        "byte_bpe_trimmed": trimmed,
        "unigram": unigram,
        "byte_fallback": fallback,
    }


def spelling(kind, tokens):
    """Return the text that tokens spell, or None if one of them is unknown."""
    if kind == "word":
        return " ".join(tokens)
    if {"<unk>", "[UNK]"} & set(tokens):
        return None
    if kind == "wordpiece":
        return "".join(token.removeprefix("##") for token in tokens)
    if kind.startswith("byte_bpe"):
        return decoders.ByteLevel().decode(tokens)
    joined = "".join(tokens).replace("▁", " ").replace("<space>", " ")
    if kind == "byte_fallback":
        return decoders.ByteFallback().decode([t.replace("▁", " ") for t in tokens])
    return joined


def folded(text):
    """Return the text without case, accents, compatibility forms and white space."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in text if unicodedata.category(c)[0] not in "MCZ")
