"""Loading a Hugging Face masked LM from a folder or the hub."""

from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast

from espnet_lmkd.errors import InputError


def load_masked_lm(source, revision=None, needs_head=True):
    """Load a masked LM and its tokenizer; code that came with a model is never run.

    Args:
        source: Folder, or id on the Hugging Face hub.
        revision: Branch, tag or commit on the hub.
        needs_head: Refuse a model whose LM head would be random.

    Returns:
        The model (float32, eval mode), its tokenizer, and the commit hash that the hub
        told or None for a folder.

    Raises:
        InputError: If there is no such model, or no LM head where one is needed.
    """
    path = Path(source)
    looks_local = path.is_absolute() or str(source).startswith(".")
    if not path.is_dir() and (looks_local or path.parent.name and path.parent.is_dir()):
        raise InputError(f"teacher {source}: no such folder; run stage 6 first")
    safely = {"trust_remote_code": False, "revision": revision}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **safely)
        model, info = AutoModelForMaskedLM.from_pretrained(
            source,
            dtype=torch.float32,
            weights_only=True,
            output_loading_info=True,
            **safely,
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()).split(". ")[0]
        raise InputError(
            f"teacher {source!r} is neither the folder of a masked LM nor one that the"
            f" Hugging Face hub gives ({reason})"
        ) from error
    if needs_head and info["missing_keys"]:
        raise InputError(
            f"teacher {source!r} has no trained LM head"
            f" ({sorted(info['missing_keys'])[0]} is missing); fine-tune it with"
            " prepare_teacher first"
        )
    return model.eval(), tokenizer, getattr(model.config, "_commit_hash", None)


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
