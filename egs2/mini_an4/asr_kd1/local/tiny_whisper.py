#!/usr/bin/env python3
"""Write a Whisper encoder of random weights, and its feature extractor."""

import argparse

import torch
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", required=True, help="folder to write")
out = parser.parse_args().out

torch.manual_seed(0)
config = WhisperConfig(
    d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32
)
WhisperEncoder(config).save_pretrained(out)
WhisperFeatureExtractor().save_pretrained(out)
