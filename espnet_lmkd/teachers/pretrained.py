"""Loading a Hugging Face language model from a folder or the hub."""

import hashlib
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from espnet_lmkd.errors import InputError, first_sentence


def load_masked_lm(source, revision=None, needs_head=True, dtype="float32"):
    """Load a masked LM and its tokenizer; code that came with a model is never run.

    Args:
        source: Folder, or id on the Hugging Face hub.
        revision: Branch, tag or commit on the hub.
        needs_head: Refuse a model whose LM head would be random.
        dtype: Of the weights; buffers such as the frequencies of rotary positions
            stay as they are, which a cast of the model would round.

    Returns:
        The model (eval mode), its tokenizer, and the commit hash that the hub
        told or None for a folder.

    Raises:
        InputError: If there is no such model, or no LM head where one is needed.
    """
    model, tokenizer, missing = _load(AutoModelForMaskedLM, source, revision, dtype)
    if needs_head and missing:
        raise InputError(
            f"teacher {source!r} has no trained LM head ({missing[0]} is missing);"
            " fine-tune it with prepare_teacher first"
        )
    return model, tokenizer, getattr(model.config, "_commit_hash", None)


def load_headless_lm(source, revision=None, dtype="float32"):
    """Load a masked or causal LM without its head, and its tokenizer.

    Args:
        source: Folder, or id on the Hugging Face hub.
        revision: Branch, tag or commit on the hub.
        dtype: As of `load_masked_lm`.

    Returns:
        As `load_masked_lm`.

    Raises:
        InputError: If there is no such model, or it is incomplete or an
            encoder-decoder.
    """
    model, tokenizer, missing = _load(AutoModel, source, revision, dtype)
    # A pooler is above the last layer; many models come without.
    missing = [name for name in missing if not name.startswith("pooler.")]
    if missing:
        raise InputError(f"teacher {source!r} is incomplete: {missing[0]} is missing")
    if model.config.is_encoder_decoder:
        raise InputError(
            f"teacher {source!r} is an encoder-decoder; a masked or causal LM was"
            " wanted"
        )
    if hasattr(model, "pooler"):
        model.pooler = None
    return model, tokenizer, getattr(model.config, "_commit_hash", None)


def _load(auto_class, source, revision, dtype):
    """Return the model, its tokenizer and the names of weights that are missing."""
    path = Path(source)
    looks_local = path.is_absolute() or str(source).startswith(".")
    if not path.is_dir() and (looks_local or path.parent.name and path.parent.is_dir()):
        raise InputError(f"teacher {source}: no such folder; run stage 6 first")
    safely = {"trust_remote_code": False, "revision": revision}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **safely)
        model, info = auto_class.from_pretrained(
            source,
            dtype=getattr(torch, dtype),
            weights_only=True,
            output_loading_info=True,
            **safely,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"teacher {source!r} is neither the folder of a language model nor one that"
            f" the Hugging Face hub gives ({first_sentence(error)})"
        ) from error
    return model.eval(), tokenizer, sorted(info["missing_keys"])


def load_tokenizer(source, revision=None):
    """Load the tokenizer of a language model; code that came with it is never run.

    Raises:
        InputError: There is none, or it has no end-of-sequence token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"tokenizer {source!r} is neither a folder nor an id that the Hugging Face"
            f" hub gives ({first_sentence(error)})"
        ) from error
    if tokenizer.eos_token is None:
        raise InputError(f"tokenizer {source!r} has no end-of-sequence token")
    return tokenizer


def weights_sha256(model) -> str:
    """Return a digest of the weights: equal digests, equal teachers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def longest_input(model, tokenizer) -> int:
    """Return the most tokens that a model takes, special ones included."""
    positions = getattr(model.config, "max_position_embeddings", None)
    table = getattr(
        getattr(model.base_model, "embeddings", None), "position_embeddings", None
    )
    # RoBERTa and its kin count positions from padding_idx + 1.
    padding = getattr(table, "padding_idx", None)
    first = 0 if padding is None else padding + 1
    limits = [tokenizer.model_max_length]
    if positions and positions > 0:
        limits.append(positions - first)
    return min(limits)


def vocabulary_difference(tokenizer, token_list) -> str | None:
    """Say where the first ids of a tokenizer are not the tokens of a list, or None."""
    theirs = tokenizer.convert_ids_to_tokens(
        range(min(len(tokenizer), len(token_list)))
    )
    for i, token in enumerate(token_list):
        if i >= len(theirs) or theirs[i] != token:
            other = repr(theirs[i]) if i < len(theirs) else "missing"
            return f"token {i} is {token!r} for the student but {other} for the teacher"
    return None


def wrap_tokenizer(backend, pad, unk, cls, sep, mask) -> PreTrainedTokenizerFast:
    """Make a Hugging Face tokenizer that puts ``cls`` and ``sep`` around a sentence.

    Args:
        backend: `tokenizers.Tokenizer`; it is loaded again exactly as it is now.
        pad: Padding token; the other arguments likewise.
    """
    ids = [(token, backend.token_to_id(token)) for token in {cls, sep}]
    backend.post_processor = TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B {sep}", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
    )


def choose_device(device) -> str:
    """Return ``cuda`` or ``cpu`` for ``auto``, and any other name as it is."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
