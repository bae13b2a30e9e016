"""A small masked LM over the student's own token list (vocabulary mode 2)."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoConfig, AutoModelForMaskedLM

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


def build_masked_lm(tokenizer, conf):
    """Make an untrained masked LM for a tokenizer.

    Args:
        tokenizer: From `student_tokenizer`.
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
