"""Tiny causal language models with random weights, of the families in use."""

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

WIDE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
KINDS = {
    "gpt2": dict(n_embd=16, n_layer=2, n_head=2, n_positions=64),
    "gpt_neox": dict(WIDE, intermediate_size=32, hidden_dropout=0.1),
    "llama": dict(WIDE, intermediate_size=32, num_key_value_heads=1),
    "qwen2": dict(WIDE, intermediate_size=32, num_key_value_heads=1),
}
SENTENCES = ["the cat sat on the mat", "a dog ran", "she sees the sea", "no one", "oh"]


def save_llm(kind, folder, seed=0, vocab_size=20, **conf):
    """Write a model whose outputs are peaked, so that searches have choices."""
    torch.manual_seed(seed)
    conf = {**KINDS.get(kind, {}), **conf}
    config = AutoConfig.for_model(
        kind,
        vocab_size=vocab_size,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.5,
        **conf,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(folder)
    return model


def save_tokenizer(folder):
    """Write byte-level BPE with four special tokens, one of them of several spaces."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "   "]
    backend.train_from_iterator(
        SENTENCES * 20,
        trainers.BpeTrainer(vocab_size=60, special_tokens=special, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


TOKENS = ["<blank>", "\u2581THE", "CAT", "<sos/eos>"]


def write_student(folder, size=6, token_type="bpe", layer="ctc.ctc_lo"):
    """Write the CTC layer of a student, with frames of so many values."""
    torch.manual_seed(5)
    parts = {"weight": torch.randn(len(TOKENS), size), "bias": torch.randn(len(TOKENS))}
    state = {f"{layer}.{name}": value for name, value in parts.items()}
    torch.save(state, folder / "valid.cer_ctc.ave.pth")
    conf = {"token_list": TOKENS, "token_type": token_type}
    (folder / "config.yaml").write_text(yaml.safe_dump(conf), encoding="utf-8")
    return folder / "valid.cer_ctc.ave.pth", *parts.values()
