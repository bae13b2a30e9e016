"""Hidden states of tiny random models, judged by one sentence at a time."""

import json

import numpy as np
import pytest
import torch
from tiny_lms import CONFIGS, PIECES, wordpiece
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, BartConfig, BartModel

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.hidden_states import HiddenStateTeacher
from espnet_lmkd.teachers.pretrained import weights_sha256

SENTENCES = {
    "bert": [(5,), (7, 8, 9), (5, 6, 10, 9, 12, 13), (14, 11)],
    "gpt2": [(70,), (5, 6, 7), (100, 101, 102, 103, 104, 5), (9, 8)],
}
SENTENCES["llama"] = SENTENCES["gpt2"]
AROUND = {"bert": ([2], [3]), "gpt2": ([1], []), "llama": ([1], [])}


@pytest.mark.parametrize("layers", [[-1], [0], [2], [1, 3]])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_hidden_states_are_the_models(folder_of, model_type, layers):
    folder = folder_of(model_type)
    teacher = HiddenStateTeacher.from_pretrained(
        folder, layers=layers, device="cpu", batch_tokens=20
    )
    model = AutoModel.from_pretrained(folder).eval()
    prefix, suffix = AROUND[model_type]
    sentences = SENTENCES[model_type]
    for sentence, rows in zip(sentences, teacher.hidden_states(sentences), strict=True):
        ids = torch.tensor([[*prefix, *sentence, *suffix]])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states
        plain = sum(states[layer][0] for layer in layers) / len(layers)
        assert rows.shape == (len(sentence), 16)
        np.testing.assert_allclose(
            rows, plain[1 : len(sentence) + 1].numpy(), atol=2e-5
        )


def test_a_causal_state_knows_only_what_came(folder_of):
    teacher = HiddenStateTeacher.from_pretrained(folder_of("gpt2"), device="cpu")
    short, long = teacher.hidden_states([(5, 6), (5, 6, 7)])
    np.testing.assert_allclose(short, long[:2], atol=2e-5)
    teacher = HiddenStateTeacher.from_pretrained(folder_of("bert"), device="cpu")
    short, long = teacher.hidden_states([(5, 6), (5, 6, 7)])
    assert np.abs(short - long[:2]).max() > 0.01


@pytest.mark.parametrize("model_type, most", [("bert", 18), ("gpt2", 19)])
def test_longest_sentence_works(folder_of, model_type, most):
    teacher = HiddenStateTeacher.from_pretrained(folder_of(model_type), device="cpu")
    assert teacher.max_tokens == most
    (rows,) = teacher.hidden_states([(5,) * most])
    assert np.isfinite(rows).all()


def test_reads_a_whole_text_though_its_folder_truncates(folder_of):
    folder = folder_of("bert")
    file = str(folder / "tokenizer.json")
    backend = Tokenizer.from_file(file)
    backend.enable_truncation(4)
    backend.enable_padding(length=9)
    backend.save(file)
    teacher = HiddenStateTeacher.from_pretrained(folder, device="cpu")
    ids, spans = teacher.read("THE DOGS' FOX")
    assert [PIECES[i] for i in ids] == ["the", "do", "##g", "##s", "'", "fox"]
    assert [tuple(x) for x in spans][1:4] == [(4, 6), (6, 7), (7, 8)]


def test_the_same_teacher_each_time(folder_of):
    """A pooler that the folder does not have would be random."""
    folder = folder_of("bert")
    config = AutoConfig.from_pretrained(folder)
    torch.manual_seed(0)
    AutoModel.from_config(config, add_pooling_layer=False).save_pretrained(folder)
    digests = set()
    for seed in range(2):
        torch.manual_seed(seed)
        teacher = HiddenStateTeacher.from_pretrained(folder, device="cpu")
        digests.add(weights_sha256(teacher.model))
    assert len(digests) == 1


def test_bad_teachers(folder_of, tmp_path):
    folder = folder_of("bert")
    for layer in (4, -5):
        with pytest.raises(InputError, match=f"--layers {layer}: .* 0 .* 3"):
            HiddenStateTeacher.from_pretrained(folder, layers=[layer], device="cpu")
    with pytest.raises(InputError, match="no such folder"):
        HiddenStateTeacher.from_pretrained(tmp_path / "none")

    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="incomplete: encoder.layer.3"):
        HiddenStateTeacher.from_pretrained(folder)

    sizes = dict(d_model=8, encoder_ffn_dim=8, decoder_ffn_dim=8, vocab_size=20)
    heads = dict(encoder_attention_heads=2, decoder_attention_heads=2)
    BartModel(BartConfig(**sizes, **heads)).save_pretrained(tmp_path / "bart")
    wordpiece().save_pretrained(tmp_path / "bart")
    with pytest.raises(InputError, match="is an encoder-decoder"):
        HiddenStateTeacher.from_pretrained(tmp_path / "bart")


def test_the_tokenizer_must_tell_offsets(folder_of):
    folder = folder_of("bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    class Slow:
        is_fast = False

    model = AutoModel.from_pretrained(folder)
    with pytest.raises(InputError, match="Slow tells no character offsets"):
        HiddenStateTeacher(model, Slow(), device="cpu")
    HiddenStateTeacher(model, tokenizer, device="cpu")
