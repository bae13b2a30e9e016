"""The student's tokens: sentencepiece or characters, in ESPnet's token list."""

import io
import os
import re
from collections import Counter
from pathlib import Path

import sentencepiece

from espnet_lmkd.data.directory import read_table, write_lines
from espnet_lmkd.errors import InputError


def train_sentencepiece(sentences, vocab_size):
    """Train a unigram model of all characters; the same text gives the same model.

    Args:
        sentences: List of str.
        vocab_size: Number of pieces, counting the model's own <unk>, <s> and </s>.

    Returns:
        bytes: The serialised model.

    Raises:
        InputError: More pieces than the text supports, or fewer than it has characters.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocab_size,
            character_coverage=1.0,
            minloglevel=2,
        )
    except RuntimeError as error:
        too_large = re.search(r"too high.*<= (\d+)", str(error))
        too_small = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
        if too_large:
            largest = too_large.group(1)
            raise InputError(
                f"vocab_size {vocab_size}: the text supports at most {largest};"
                f" use vocab_size {largest} or less"
            ) from error
        if too_small:
            smallest = too_small.group(1)
            raise InputError(
                f"vocab_size {vocab_size}: the text has {smallest} characters and"
                f" special symbols; use vocab_size {smallest} or more"
            ) from error
        raise
    return model.getvalue()


def token_list(tokens, known=()):
    """Order tokens as ESPnet does: <blank>, <unk>, then by frequency, <sos/eos> last.

    Tokens of equal frequency keep the order in which the text first shows them.

    Args:
        tokens: Iterable of all tokens of the training text.
        known: Further tokens, listed after those that occur in the text.

    Returns:
        list[str]: The token list.

    Example:
        >>> token_list("abb", known="abc")
        ['<blank>', '<unk>', 'b', 'a', 'c', '<sos/eos>']
    """
    counts = Counter(tokens)
    ordered = sorted(counts, key=lambda token: -counts[token])
    unseen = [token for token in known if token not in counts]
    return ["<blank>", "<unk>", *ordered, *unseen, "<sos/eos>"]


def make_tokens(texts, token_type, out, vocab_size=None):
    """Write `out`/tokens.txt and, for "bpe", the sentencepiece model `out`/bpe.model.

    Args:
        texts: Tables of "utterance words" lines, such as dump/raw/train/text.
        token_type: "bpe" (sentencepiece unigram) or "char".
        out: Directory to write.
        vocab_size: Length of the token list for "bpe"; "char" takes all characters.

    Returns:
        list[str]: The token list.

    Raises:
        InputError: An invalid table or an impossible vocabulary size.
    """
    sentences = [
        " ".join(words.split()) for text in texts for words in read_table(text).values()
    ]
    if not sentences:
        raise InputError(f"{texts[0]}: no sentence to make tokens from")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if token_type == "char":
        characters = (c for sentence in sentences for c in sentence)
        tokens = token_list("<space>" if c == " " else c for c in characters)
    elif token_type == "bpe":
        if vocab_size is None:
            raise InputError("--token_type bpe wants a --vocab_size such as 300")
        model = train_sentencepiece(sentences, vocab_size)
        unfinished = out / "bpe.model.tmp"
        unfinished.write_bytes(model)
        os.replace(unfinished, out / "bpe.model")
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        # the model's own <unk>, <s> and </s> come first and are no pieces of text
        pieces = [processor.IdToPiece(i) for i in range(3, processor.vocab_size())]
        encoded = processor.EncodeAsPieces(sentences)
        tokens = token_list((t for line in encoded for t in line), known=pieces)
    else:
        raise InputError(f"--token_type: bpe or char, not '{token_type}'")
    write_lines(out / "tokens.txt", tokens)
    return tokens
