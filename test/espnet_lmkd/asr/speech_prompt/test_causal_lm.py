"""What of a language model is trained, and which ones are refused."""

import pytest
import torch
import yaml
from tiny_llm import KINDS, save_llm

from espnet_lmkd.asr.speech_prompt.causal_lm import (
    CausalLM,
    TextReader,
    build_causal_lm,
    lm_config,
    load_causal_lm,
)
from espnet_lmkd.errors import InputError


def loss_of(lm, steps=5):
    torch.manual_seed(3)
    embeds = torch.randn(2, steps, lm.size, requires_grad=True)
    logits = lm(embeds, torch.ones(2, steps, dtype=torch.bool), keep=2)
    logits.square().mean().backward()
    return embeds.grad


def trained(lm):
    named = lm.model.named_parameters()
    return {name for name, p in named if p.grad is not None and p.grad.abs().sum() > 0}


def test_frozen_model_passes_gradients_on_and_has_no_dropout(tmp_path):
    lm = CausalLM(save_llm("gpt2", tmp_path)).train()
    first = loss_of(lm)
    assert not trained(lm) and first.abs().sum() > 0
    assert loss_of(lm.eval()).equal(first)
    tuned = CausalLM(load_causal_lm(tmp_path), freeze=False).train()
    assert not loss_of(tuned).equal(loss_of(tuned.eval()))  # GPT-2's own dropout
    assert "transformer.h.0.attn.c_attn.weight" in trained(tuned)


@pytest.mark.parametrize("kind", KINDS)
def test_lora_starts_as_the_model_and_trains_projections(kind, tmp_path):
    model = save_llm(kind, tmp_path)
    embeds, mask = torch.randn(1, 4, 16), torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        before = model(inputs_embeds=embeds).logits
        lm = CausalLM(model, lora={"r": 2, "alpha": 4}).eval()
        torch.testing.assert_close(lm(embeds, mask, keep=4), before)
    assert lm(embeds, mask, keep=3).shape == (1, 3, 20)
    loss_of(lm.train())
    names = trained(lm)
    assert names and all("lora_B" in name for name in names)  # B is 0, so A rests
    share = sum(p.numel() for p in lm.parameters() if p.requires_grad)
    assert share < 0.1 * sum(p.numel() for p in lm.parameters())


def test_lora_is_scaled_by_alpha_over_r(tmp_path):
    lm = CausalLM(
        save_llm("llama", tmp_path),
        lora={"r": 2, "alpha": 6.0, "target_modules": ["o_proj"]},
    )
    layer = lm.model.model.layers[0].self_attn.o_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    x = torch.randn(3, 16)
    expected = x @ (layer.base_layer.weight + 6.0 / 2 * b @ a).T
    torch.testing.assert_close(layer(x), expected)


def test_half_precision_is_the_frozen_models_alone(tmp_path):
    save_llm("llama", tmp_path)
    lm = CausalLM(load_causal_lm(tmp_path, dtype="bfloat16"), lora={"r": 2})
    dtypes = {p.requires_grad: p.dtype for p in lm.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}
    embeds = torch.randn(1, 4, 16, dtype=torch.bfloat16)
    logits = lm(embeds, torch.ones(1, 4, dtype=torch.bool), keep=1)
    assert logits.dtype == torch.float32
    with pytest.raises(InputError, match="lm_dtype is for a frozen LM"):
        CausalLM(load_causal_lm(tmp_path, dtype="bfloat16"), freeze=False)
    with pytest.raises(InputError, match="unknown lm_dtype 'int4'"):
        load_causal_lm(tmp_path, dtype="int4")


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("kind", ["gpt_neox", "llama"])
def test_checkpointing_recomputes_the_same_gradients(kind, freeze, tmp_path):
    save_llm(kind, tmp_path, hidden_dropout=0.0)
    calls, gradients = [], []
    for checkpointing in (False, True):
        model = load_causal_lm(tmp_path)
        lm = CausalLM(model, freeze, gradient_checkpointing=checkpointing).train()
        layer = (model.gpt_neox if kind == "gpt_neox" else model.model).layers[0]
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(checkpointing))
        gradients.append(loss_of(lm))
    assert (calls.count(False), calls.count(True)) == (1, 2)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_rebuilds_the_model(kind, tmp_path):
    model = save_llm(kind, tmp_path)
    config = yaml.safe_load(yaml.safe_dump(lm_config(model)))
    again = build_causal_lm(config)
    again.load_state_dict(model.state_dict())
    ids = torch.randint(0, 20, (2, 7))
    with torch.no_grad():
        assert again.eval()(ids).logits.equal(model(ids).logits)
    assert str(tmp_path) not in yaml.safe_dump(config)


def test_rebuilt_in_half_precision_positions_are_those_of_the_loaded(tmp_path):
    model = save_llm("llama", tmp_path, hidden_size=128)  # a head is 64 wide
    loaded = load_causal_lm(tmp_path, dtype="bfloat16")
    again = build_causal_lm(lm_config(loaded), "bfloat16")
    again.load_state_dict(loaded.state_dict())
    frequencies = [m.model.rotary_emb.inv_freq for m in (model, loaded, again)]
    assert frequencies[0].equal(frequencies[1]) and frequencies[0].equal(frequencies[2])
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16}
    ids = torch.randint(0, 20, (1, 300))
    with torch.no_grad():
        assert again.eval()(ids).logits.equal(loaded(ids).logits)


def test_context_rows_can_be_taken_several_times(tmp_path):
    lm = CausalLM(save_llm("llama", tmp_path)).eval()
    embeds, mask = torch.randn(2, 3, 16), torch.ones(2, 3, dtype=torch.bool)
    with torch.no_grad():
        _, context = lm.read(embeds, mask)
        taken = context.select([1, 1, 0])
        logits, _ = lm.read_on(torch.tensor([4, 5, 6]), taken)
        assert context.cache.get_seq_length() == 3 and context.mask.shape == (2, 3)
        for row, source, token in zip(logits, (1, 1, 0), (4, 5, 6)):
            read = torch.cat([embeds[source], lm.embed(torch.tensor([token]))])
            expected = lm.model(inputs_embeds=read[None]).logits[0, -1]
            torch.testing.assert_close(row, expected)


def test_sequences_have_an_end(tmp_path):
    lm = CausalLM(save_llm("gpt2", tmp_path))
    assert lm.max_positions == 64
    with pytest.raises(InputError, match="65 vectors .* the LM reads 64"):
        lm(torch.zeros(1, 65, 16), torch.ones(1, 65, dtype=torch.bool), keep=1)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither a folder nor an id"):
        load_causal_lm(tmp_path / "nothing")
    small = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    save_llm("bert", tmp_path / "bert", intermediate_size=16, **small)
    with pytest.raises(InputError, match=r"is a masked LM \(bert\)"):
        load_causal_lm(tmp_path / "bert")
    save_llm("bloom", tmp_path / "bloom", hidden_size=16, n_layer=1, n_head=2)
    with pytest.raises(InputError, match=r"\(bloom\) takes no position_ids"):
        load_causal_lm(tmp_path / "bloom")
    attention = dict(num_attention_heads=2, num_key_value_heads=1)
    layers = dict(layer_types=["conv", "full_attention"], block_ff_dim=16, **attention)
    save_llm("lfm2", tmp_path / "lfm2", **{**small, **layers, "num_hidden_layers": 2})
    with pytest.raises(InputError, match=r"\(lfm2\) has layers without attention"):
        load_causal_lm(tmp_path / "lfm2")
    llama = save_llm("llama", tmp_path / "llama")
    with pytest.raises(InputError, match="has no tokenizer to read text"):
        TextReader(tmp_path / "llama")("numbers:")
    with pytest.raises(InputError, match="lora adapts a frozen LM"):
        CausalLM(llama, freeze=False, lora={})
    with pytest.raises(InputError, match=r"lora has no option \['rank'\]; .*'r', 'al"):
        CausalLM(llama, lora={"rank": 2})
    with pytest.raises(InputError, match=r"\['query'\] do not fit; .*'o_proj', 'q_pr"):
        CausalLM(llama, lora={"target_modules": ["query"]})


def test_head_is_not_copied_for_every_row_of_a_batch(tmp_path):
    lm = CausalLM(save_llm("llama", tmp_path))
    embeds, mask = torch.randn(5, 4, 16), torch.ones(5, 4, dtype=torch.bool)
    head = lm.model.get_output_embeddings().weight
    with torch.profiler.profile(record_shapes=True) as profile:
        lm(embeds, mask, keep=2)
    shapes = [event.input_shapes for event in profile.events()]
    copied = [5, *head.T.shape]  # what torch multiplies with where it cannot fold
    assert not any(copied in found for found in shapes)


def test_frozen_weights_keep_their_dtype_when_the_model_is_cast(tmp_path):
    save_llm("llama", tmp_path)
    lora = {"r": 2, "target_modules": ["o_proj"]}
    lm = CausalLM(load_causal_lm(tmp_path, dtype="bfloat16"), lora=lora)
    weight = lm.model.get_input_embeddings().weight.clone()
    torch.nn.ModuleList([lm]).to(dtype=torch.float32)
    dtypes = {p.requires_grad: p.dtype for p in lm.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}
    assert lm.model.get_input_embeddings().weight.equal(weight)
    tuned = CausalLM(load_causal_lm(tmp_path), freeze=False).to(torch.float64)
    assert {p.dtype for p in tuned.parameters()} == {torch.float64}
