"""Tiny random language models with tokenizers of their own."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    BertTokenizer,
    PreTrainedTokenizerFast,
)

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "fox", "do", "##g"]
PIECES += ["##s", "'", "é", "a", "##b", "b", "e"]
SIZES = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2)
CONFIGS = {
    "bert": dict(SIZES, intermediate_size=32, max_position_embeddings=20),
    "gpt2": dict(n_embd=16, n_layer=3, n_head=2, n_positions=20),
    "llama": dict(
        SIZES,
        intermediate_size=32,
        max_position_embeddings=20,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
    ),
}


def wordpiece():
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(PIECES)})


def byte_bpe():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<eos>", "<s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="<eos>"
    )


def save_tiny_lm(model_type, folder):
    """Save a random model of a type with its tokenizer."""
    torch.manual_seed(0)
    tokenizer = wordpiece() if model_type == "bert" else byte_bpe()
    conf = dict(CONFIGS[model_type], vocab_size=len(tokenizer))
    config = AutoConfig.for_model(model_type, initializer_range=0.3, **conf)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
