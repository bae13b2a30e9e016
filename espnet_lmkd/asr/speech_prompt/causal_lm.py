"""A causal language model that reads vectors: frozen, adapted by LoRA, or trained."""

import copy
import functools
import inspect
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Cache,
    DynamicCache,
)
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from espnet_lmkd.asr.speech_prompt.lora import add_lora
from espnet_lmkd.errors import InputError, first_sentence

DTYPES = ("float32", "bfloat16")


class TooManyVectorsError(InputError):
    """Speech and text are longer than what a language model reads."""


def load_causal_lm(source, revision=None, dtype: str = "float32"):
    """Load a causal LM; code that came with a model is never run.

    Args:
        source: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub.
        dtype: of the weights.

    Raises:
        InputError: there is no such model, it lacks weights, or is of a kind that
            speech prompts do not work with.
    """
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            dtype=_dtype(dtype),
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"causal LM {source!r} is neither a folder nor an id that the Hugging Face"
            f" hub gives ({first_sentence(error)})"
        ) from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])[0]
        raise InputError(f"causal LM {source!r} lacks the weights {missing}")
    _check_kind(model, source)
    return model


def build_causal_lm(config: Dict[str, Any], dtype: str = "float32"):
    """Build a causal LM with random weights from what `lm_config` returned."""
    # Not .to(dtype), which rounds buffers, too: positions would turn by other angles.
    config = AutoConfig.for_model(**config)
    return AutoModelForCausalLM.from_config(config, dtype=_dtype(dtype))


def lm_config(model) -> Dict[str, Any]:
    """Return what builds a causal LM again, without weights and network."""
    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "architectures", "dtype", "transformers_version"):
        config.pop(name, None)
    return {**config, "model_type": model.config.model_type}


class TextReader:
    """Read text as ids of an LM, without special tokens around it.

    Args:
        source, revision: as of `load_causal_lm`; its tokenizer is loaded where there is
            a text to read.
    """

    def __init__(self, source, revision=None):
        self.source, self.revision = source, revision

    def __call__(self, text: str) -> List[int]:
        """Return the ids."""
        if not text:
            return []
        return self._tokenizer(text, add_special_tokens=False).input_ids

    @functools.cached_property
    def _tokenizer(self):
        try:
            return AutoTokenizer.from_pretrained(
                self.source, revision=self.revision, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"causal LM {self.source!r} has no tokenizer to read text with"
                f" ({first_sentence(error)})"
            ) from error


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise InputError(f"unknown lm_dtype {name!r}; choose one of {DTYPES}")
    return getattr(torch, name)


def _check_kind(model, source) -> None:
    kind = model.config.model_type
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise InputError(f"{source!r} is a masked LM ({kind}); a causal LM was wanted")
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"causal LM {source!r} ({kind}) takes no position_ids, without which"
            " batches of speech cannot be padded; take a GPT-2, GPT-NeoX, OPT, Llama,"
            " Qwen, ..."
        )
    layers = DynamicCache(config=model.config).layers
    if not all(hasattr(layer, "batch_select_indices") for layer in layers):
        raise InputError(
            f"causal LM {source!r} ({kind}) has layers without attention, of whose"
            " memory a search cannot choose rows; take a Llama, Qwen, ..."
        )


class Context(NamedTuple):
    """What a language model has read in each row of a batch.

    Args:
        cache: its keys and values.
        mask: (N, S) True where a place is valid; padding is on the left.
    """

    cache: Cache
    mask: torch.Tensor

    def select(self, rows: List[int]) -> "Context":
        """Return these rows, each as often as it is named; this context stays."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        indices = torch.tensor(rows, device=self.mask.device)
        cache.batch_select_indices(indices)
        return Context(cache, self.mask[indices])


class CausalLM(torch.nn.Module):
    """A causal LM of transformers and what of it is trained.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv
    2106.09685, by way of the package peft: W x + (alpha / r) B A x.

    Args:
        model: `AutoModelForCausalLM`.
        freeze: whether its own weights stay as they are.
        lora: {r, alpha, dropout, target_modules} of the adapters of a frozen model;
            by default peft chooses the modules, which are projections of attention.
        gradient_checkpointing: compute each layer twice instead of keeping what it saw.

    Raises:
        InputError: an option is wrong, or peft is missing.
    """

    def __init__(
        self,
        model,
        freeze: bool = True,
        lora: Optional[Dict[str, Any]] = None,
        gradient_checkpointing: bool = False,
    ):
        super().__init__()
        if lora is not None and not freeze:
            raise InputError(
                "lora adapts a frozen LM; set freeze: true or leave lora out"
            )
        if not freeze and next(model.parameters()).dtype != torch.float32:
            raise InputError(
                "lm_dtype is for a frozen LM; a trained one wants float32 (and use_amp)"
            )
        model.requires_grad_(not freeze)
        if lora is not None:
            add_lora(model, lora)
        if gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        # The last places of each row, of which logits are wanted, are no contiguous
        # tensor: torch would copy the weights of the head for every row of the batch.
        model.get_output_embeddings().register_forward_pre_hook(_contiguous)
        self.model = model
        self.is_fixed = freeze and lora is None

    def _apply(self, fn, recurse=True):
        # ESPnet casts whole models to the dtype of their training or decoding.
        frozen = [p for p in self.parameters() if not p.requires_grad]
        dtypes = [p.dtype for p in frozen]
        super()._apply(fn, recurse)
        for parameter, dtype in zip(frozen, dtypes):
            parameter.data = parameter.data.to(dtype)
        return self

    @property
    def size(self) -> int:
        """E, width of an embedding."""
        return self.model.get_input_embeddings().embedding_dim

    @property
    def vocab_size(self) -> int:
        """Number of outputs; often more than there are tokens."""
        return self.model.get_output_embeddings().weight.shape[0]

    @property
    def max_positions(self) -> float:
        """Most vectors that the model reads."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        return float("inf") if positions is None else positions

    def train(self, mode: bool = True):
        """Set the mode; a frozen LM stays as it is in recognition."""
        super().train(mode)
        if self.is_fixed:
            self.model.eval()
            # These recompute in training mode only, and have no dropout of their own.
            for module in self.model.modules():
                if isinstance(module, GradientCheckpointingLayer):
                    module.training = mode
        return self

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the (..., E) embeddings of token ids."""
        return self.model.get_input_embeddings()(ids)

    def forward(
        self,
        embeds: torch.Tensor,
        mask: torch.Tensor,
        keep: int,
        cache: Optional[Cache] = None,
    ) -> torch.Tensor:
        """Return the float32 logits (N, keep, V) of the last places.

        Args:
            embeds: (N, n, E) what to read.
            mask: (N, S + n) True where a place is valid, counting the S in the cache.
            keep: number of places.
            cache: what was read before; grows in place.
        """
        if mask.shape[1] > self.max_positions:  # perhaps by its padding only
            longest = int(mask.sum(1).max())
            if longest > self.max_positions:
                raise TooManyVectorsError(
                    f"a sequence of {longest} vectors (speech and text) came, the LM"
                    f" reads {self.max_positions}; cut the speech or raise num_convs"
                )
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
        return self.model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=keep,
        ).logits.float()

    def read(
        self, embeds: torch.Tensor, mask: torch.Tensor
    ) -> Tuple[torch.Tensor, Context]:
        """Read (N, n, E) from the beginning; return the last logits (N, V)."""
        cache = DynamicCache(config=self.model.config)
        return self(embeds, mask, 1, cache)[:, 0], Context(cache, mask)

    def read_on(
        self, ids: torch.Tensor, context: Context
    ) -> Tuple[torch.Tensor, Context]:
        """Read a token (N,) after a context, which is used up; see `read`."""
        mask = torch.nn.functional.pad(context.mask, (0, 1), value=True)
        logits = self(self.embed(ids.unsqueeze(1)), mask, 1, context.cache)
        return logits[:, 0], Context(context.cache, mask)


def _contiguous(_, args):
    return tuple(arg.contiguous() for arg in args)
