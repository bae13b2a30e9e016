#!/usr/bin/env python3
"""Write a causal language model of random weights, and its tokenizer."""

import argparse

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BLANK, BEGIN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"  # as SmolLM2's

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", required=True, help="folder to write")
out = parser.parse_args().out

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator(
    [],
    trainers.BpeTrainer(
        special_tokens=[BLANK, BEGIN, END],
        initial_alphabet=alphabet,
        show_progress=False,
    ),
)
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END
).save_pretrained(out)
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=tokenizer.get_vocab_size(),
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    bos_token_id=1,
    eos_token_id=2,
)
LlamaForCausalLM(config).save_pretrained(out)
