"""Tiny random masked LMs of several architectures over one small vocabulary."""

import pytest
import torch

TOKENS = ["<blank>", "<unk>", *"abcdefghijkl", "<sos/eos>"]
SIZES = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2)
ARCHITECTURES = {
    "bert": dict(SIZES, intermediate_size=32, max_position_embeddings=24),
    # RoBERTa's positions start after the padding index: 22 are left.
    "roberta": dict(SIZES, intermediate_size=32, max_position_embeddings=25),
    "distilbert": dict(
        dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=24
    ),
    "modernbert": dict(
        SIZES,
        intermediate_size=32,
        max_position_embeddings=24,
        global_attn_every_n_layers=1,
    ),
}


@pytest.fixture
def tokens():
    return list(TOKENS)


@pytest.fixture
def make_teacher():
    from espnet_lmkd.teachers.from_scratch import build_masked_lm, student_tokenizer
    from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher

    def make_teacher(model_type="bert", **conf):
        torch.manual_seed(0)
        tokenizer = student_tokenizer(TOKENS)
        arguments = dict(ARCHITECTURES[model_type], initializer_range=0.3)
        model = build_masked_lm(tokenizer, {"model_type": model_type, **arguments})
        return MaskedLMTeacher(model, tokenizer, TOKENS, device="cpu", **conf)

    return make_teacher


@pytest.fixture
def teacher_folder(make_teacher, tmp_path):
    teacher = make_teacher()
    teacher.model.save_pretrained(tmp_path / "teacher")
    teacher.tokenizer.save_pretrained(tmp_path / "teacher")
    return tmp_path / "teacher"


@pytest.fixture
def folder_of(tmp_path):
    """Return a function that saves a tiny model of a type."""
    from tiny_lms import save_tiny_lm

    return lambda model_type: save_tiny_lm(model_type, tmp_path / model_type)
