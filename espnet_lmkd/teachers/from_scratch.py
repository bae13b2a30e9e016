"""A small masked LM over the student's tokens, or over word pieces of its own."""

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordLevel, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, WhitespaceSplit
from transformers import AutoConfig, AutoModelForMaskedLM

from espnet_lmkd.data.tokens import train_sentencepiece
from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.pretrained import wrap_tokenizer

MASK = "[MASK]"


def student_tokenizer(token_list):
    """Make a Hugging Face tokenizer whose ids are the student's and whose last is mask.

    Its text is the student's tokens joined by spaces.

    Args:
        token_list: ESPnet's: ``<blank>``, ``<unk>``, ..., ``<sos/eos>``.

    Raises:
        InputError: If the list lacks one of these or holds a token with white space.

    Example:
        >>> tokenizer = student_tokenizer(["<blank>", "<unk>", "▁A", "B", "<sos/eos>"])
        >>> tokenizer("▁A B C").input_ids, tokenizer.mask_token_id
        ([4, 2, 3, 1, 4], 5)
    """
    for token in ("<blank>", "<unk>", "<sos/eos>"):
        if token not in token_list:
            raise InputError(f"the token list has no {token}; run stage 5 again")
    for token in token_list:
        if token.split() != [token] or token == MASK:
            raise InputError(
                f"token {token!r} of the token list cannot be a token of a teacher"
            )
    vocabulary = {token: i for i, token in enumerate([*token_list, MASK])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return wrap_tokenizer(backend, "<blank>", "<unk>", "<sos/eos>", "<sos/eos>", MASK)


def wordpiece_tokenizer(lines, vocab_size):
    """Make BERT's kind of tokenizer, uncased, whose word pieces are learnt from a text.

    The pieces are SentencePiece's: the same text gives the same ones.

    Args:
        lines: Sentences.
        vocab_size: Number of pieces; special tokens and single letters that are none of
            them come on top.

    Example:
        >>> tokenizer = wordpiece_tokenizer(["THE CAT", "THE CATS"], vocab_size=10)
        >>> tokenizer.decode(tokenizer("The cats").input_ids)
        '[CLS] the cats [SEP]'
    """
    normalizer, words = BertNormalizer(lowercase=True), BertPreTokenizer()
    normalized = (normalizer.normalize_str(line) for line in lines)
    separated = [
        " ".join(word for word, _ in words.pre_tokenize_str(line))
        for line in normalized
    ]
    letters = sorted(set("".join(separated)) - {" "})
    processor = SentencePieceProcessor(
        model_proto=train_sentencepiece(separated, vocab_size)
    )
    pieces = [processor.IdToPiece(i) for i in range(3, processor.vocab_size())]
    tokens = [piece[1:] if piece.startswith("▁") else f"##{piece}" for piece in pieces]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", MASK]
    single = [*letters, *(f"##{letter}" for letter in letters)]
    vocabulary = dict.fromkeys([*special, *filter(None, tokens), *single])
    backend = Tokenizer(
        WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    backend.normalizer, backend.pre_tokenizer = normalizer, words
    backend.decoder = WordPieceDecoder()
    return wrap_tokenizer(backend, *special)


def build_masked_lm(tokenizer, conf):
    """Make an untrained masked LM for a tokenizer.

    Args:
        tokenizer: From `student_tokenizer` or `wordpiece_tokenizer`.
        conf: ``model_type`` of transformers, such as ``bert`` or ``modernbert``, and
            the arguments of its config.

    Raises:
        InputError: If the type or an argument is not known.
    """
    try:
        config = AutoConfig.for_model(
            **conf,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
        )
        return AutoModelForMaskedLM.from_config(config)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"model: {reason[:200]}") from error
