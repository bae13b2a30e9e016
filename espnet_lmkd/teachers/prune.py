"""Cutting a WordPiece masked LM down to the pieces that a text needs."""

import json

from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.pretrained import wrap_tokenizer


def prune_vocabulary(model, tokenizer, sentences):
    """Keep the special tokens, the pieces of the sentences and their single characters.

    The sentences split as before, since the longest match at each place is kept, and
    the logits are those of the full model at the kept pieces.

    Args:
        model: ``AutoModelForMaskedLM``.
        tokenizer: Its WordPiece tokenizer.
        sentences: Texts whose pieces are kept.

    Returns:
        The smaller model and its tokenizer; the padding token, an ESPnet student's
        CTC blank, has id 0.

    Raises:
        InputError: If the tokenizer is not WordPiece.
    """
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    if description["model"]["type"] != "WordPiece":
        raise InputError(
            f"the teacher's tokenizer is {description['model']['type']}, only WordPiece"
            " can be pruned; give prune: false or mode: student"
        )
    vocabulary = description["model"]["vocab"]
    pieces = _kept_pieces(tokenizer, vocabulary, sentences)
    kept_ids = [vocabulary[piece] for piece in pieces]

    description["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    description["added_tokens"] = [
        {**token, "id": pieces.index(token["content"])}
        for token in description["added_tokens"]
        if token["content"] in pieces
    ]
    # It holds ids of the full vocabulary; `wrap_tokenizer` sets a new one.
    description["post_processor"] = None
    backend = Tokenizer.from_str(json.dumps(description))
    specials = _specials(tokenizer)
    return _select_rows(model, kept_ids), wrap_tokenizer(backend, *specials)


def _specials(tokenizer):
    """Return the special tokens in the order of `wrap_tokenizer`'s arguments."""
    return [
        tokenizer.pad_token,
        tokenizer.unk_token,
        tokenizer.cls_token,
        tokenizer.sep_token,
        tokenizer.mask_token,
    ]


def _kept_pieces(tokenizer, vocabulary, sentences):
    used = set()
    for sentence in sentences:
        used.update(tokenizer.tokenize(sentence))
    specials = _specials(tokenizer)
    characters = {c for piece in used for c in piece.removeprefix("##")}
    used |= characters | {f"##{character}" for character in characters}
    used = (used & vocabulary.keys()) - set(specials)
    return [*specials, *sorted(used, key=vocabulary.get)]


def _select_rows(model, kept_ids):
    """Return a copy of the model with these rows of the vocabulary only."""
    config = type(model.config).from_dict(model.config.to_dict())
    full_size = config.vocab_size
    config.vocab_size, config.pad_token_id = len(kept_ids), 0
    weights = {
        name: tensor[kept_ids] if tensor.shape[:1] == (full_size,) else tensor
        for name, tensor in model.state_dict().items()
    }
    pruned = AutoModelForMaskedLM.from_config(config)
    pruned.load_state_dict(weights)
    return pruned.eval()
