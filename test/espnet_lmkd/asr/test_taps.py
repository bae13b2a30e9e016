"""Activations read by hooks are those of the modules, under layer drop as well."""

import pytest
import torch
from tiny_student import INTERAED

from espnet_lmkd.asr.taps import Taps, check_taps, decoder_size
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.lm_embedding import LMEmbeddingDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


def collect(model, batch, names):
    with Taps(model, names) as taps:
        model.forward(**{k: v for k, v in batch.items() if k.startswith(("sp", "te"))})
        return taps.collect(Padded(batch["text"], batch["text_lengths"]))


@pytest.mark.parametrize("conditioning", [False, True])
def test_layers_are_espnets_intermediate_outputs(build_model, batch, conditioning):
    conf = dict(interctc_layer_idx=[1, 3], interctc_use_conditioning=conditioning)
    model = build_model("espnet", encoder_conf=conf, interctc_weight=0.5).eval()
    with torch.no_grad():
        (final, layers), lengths = model.encode(
            batch["speech"], batch["speech_lengths"]
        )
        logits = model.ctc.ctc_lo(final)
        names = ["encoder_layer.1", "encoder_layer.3", "encoder_out", "ctc_logits"]
        seen = collect(model, batch, names)
    torch.testing.assert_close(seen["encoder_layer.1"].data, layers[0][1])
    torch.testing.assert_close(seen["encoder_layer.3"].data, layers[1][1])
    torch.testing.assert_close(seen["encoder_out"].data, final)
    torch.testing.assert_close(seen["ctc_logits"].data, logits)
    assert seen["encoder_layer.1"].lengths.tolist() == lengths.tolist()


def test_the_last_layer_is_the_encoder_output(build_model, batch):
    model = build_model("espnet").eval()
    seen = collect(model, batch, ["encoder_layer.4", "encoder_out"])
    torch.testing.assert_close(seen["encoder_layer.4"].data, seen["encoder_out"].data)


def test_decoder_logits_have_a_row_for_eos(build_model, batch):
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3).eval()
    seen = collect(model, batch, ["decoder_logits"])
    assert seen["decoder_logits"].data.shape[1] == 5
    assert seen["decoder_logits"].lengths.tolist() == [5, 3, 4]


def test_decoder_states_are_what_the_output_layer_reads(build_model, batch):
    """The judge is the decoder's own `return_hs`."""
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3).eval()
    with torch.no_grad():
        memory, lengths = model.encode(batch["speech"], batch["speech_lengths"])
        sos_text = torch.nn.functional.pad(batch["text"], (1, 0), value=model.sos)
        sos_text = sos_text.masked_fill(sos_text < 0, model.eos)
        (_, states), _ = model.decoder(
            memory, lengths, sos_text, batch["text_lengths"] + 1, return_hs=True
        )
        seen = collect(model, batch, ["decoder_states", "decoder_logits"])
    torch.testing.assert_close(seen["decoder_states"].data, states)
    assert seen["decoder_states"].lengths.tolist() == [5, 3, 4]
    assert states.shape[2] == decoder_size(model) == 16
    logits = model.decoder.output_layer(seen["decoder_states"].data)
    torch.testing.assert_close(logits, seen["decoder_logits"].data)


def test_attention_is_that_of_all_layers_and_heads(build_model, batch):
    """The judge weighs the values by it: what each layer's attention returns."""
    conf = dict(attention_heads=2, linear_units=16, num_blocks=2)
    model = build_model(
        "espnet", decoder="transformer", decoder_conf=conf, ctc_weight=0.3
    ).eval()
    given = {}
    for index, layer in enumerate(model.decoder.decoders):
        layer.src_attn.register_forward_hook(
            lambda m, args, out, index=index: given.update({index: (m, args[2], out)})
        )
    attention = collect(model, batch, ["decoder_attention"])["decoder_attention"]
    assert attention.lengths.tolist() == [5, 3, 4] and attention.data.shape[2] == 4
    for index, (module, memory, out) in given.items():
        values = module.linear_v(memory).unflatten(2, (2, -1))  # (B, T, H, D)
        heads = attention.data[:, :, 2 * index : 2 * index + 2]
        summed = torch.einsum("buht,bthd->buhd", heads, values).flatten(2)
        torch.testing.assert_close(module.linear_out(summed), out)


def test_flash_attention_keeps_no_weights_and_says_so(build_model, batch):
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3)
    attention = model.decoder.decoders[0].src_attn
    attention.register_forward_hook(lambda *_: setattr(attention, "attn", None))
    with pytest.raises(InputError, match="use_flash_attn: false"):
        collect(model, batch, ["decoder_attention"])


@pytest.mark.parametrize("sampling", [0.0, 1.0])
def test_an_rnn_decoder_has_states_too(build_model, batch, sampling):
    """The judge is the output layer, scheduled sampling asks it for tokens as well."""
    conf = dict(hidden_size=12, context_residual=True, sampling_probability=sampling)
    model = build_model("espnet", decoder="rnn", decoder_conf=conf, ctc_weight=0.3)
    seen = collect(model.eval(), batch, ["decoder_states", "decoder_logits"])
    states = seen["decoder_states"]
    assert states.data.shape == (3, 5, 12 + 16) and decoder_size(model) == 28
    logits = model.decoder.output(states.data).masked_fill(~states.mask[..., None], 0)
    torch.testing.assert_close(logits, seen["decoder_logits"].data)


def test_a_transducers_predictor_is_that_of_the_loss(build_model, batch):
    """The error calculator decodes within the same pass, after the loss."""
    model = build_model("espnet", decoder="transducer", ctc_weight=0.0).eval()
    assert model.error_calculator_trans is not None
    with torch.no_grad():
        seen = collect(model, batch, ["predictor_out", "joint_network", "encoder_out"])
        labels = batch["text"].masked_fill(batch["text"] < 0, 0)
        wanted = model.decoder(torch.nn.functional.pad(labels, (1, 0)))
    assert seen["joint_network"] is model.joint_network
    predictor_out = seen["predictor_out"]
    assert predictor_out.lengths.tolist() == [5, 3, 4]
    torch.testing.assert_close(predictor_out.data, wanted)
    with pytest.raises(InputError, match="with an attention decoder"):
        check_taps(["decoder_logits"], model)


def test_the_embedding_loss_reaches_decoder_and_encoder(build_model, batch):
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3)
    student = StudentSpec(11, 16, 4, sos=10, eos=10, decoder_size=decoder_size(model))
    method = LMEmbeddingDistiller(student, target_size=6)
    hidden = Padded(torch.randn(3, 4, 6), batch["text_lengths"])
    taps = collect(model, batch, method.taps)
    method(taps, {"teacher_hidden": hidden})[0].sum().backward()
    for part in (model.decoder.embed, model.decoder.decoders, model.encoder.encoders):
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())
    assert model.decoder.output_layer.weight.grad is None


@pytest.mark.parametrize("dropped, source", [(3, 2), (1, 0)])
def test_a_dropped_layer_gives_what_the_one_before_gave(dropped, source):
    """The judge writes the skipped pass out by hand."""
    layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(3))

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoders = layers

        def forward(self, x, lengths):
            for index, layer in enumerate(self.encoders, 1):
                if index != dropped:
                    x = layer(x)
            return x, lengths, None

    model = torch.nn.Module()
    model.encoder = Encoder()
    x = torch.randn(2, 5, 4)
    with Taps(model, [f"encoder_layer.{dropped}"]) as taps:
        model.encoder(x, torch.tensor([5, 5]))
        seen = taps.collect(Padded(torch.zeros(2, 1), torch.tensor([1, 1])))
    expected = x
    for layer in list(layers)[:source]:
        expected = layer(expected)
    torch.testing.assert_close(seen[f"encoder_layer.{dropped}"].data, expected)


def test_stochastic_depth_trains(build_model, batch):
    model = build_model(
        distillers=[INTERAED], encoder_conf=dict(stochastic_depth_rate=0.9)
    ).train()
    loss, _, _ = model(**batch)
    assert loss.isfinite().all()


@pytest.mark.parametrize(
    "name, message",
    [
        ("encoder_layer.5", "has layers 1..4"),
        ("decoder_logits", "with an attention decoder"),
        ("predictor_out", "transducer student .* decoder is NoneType"),
        ("joint_network", "transducer student .* decoder is NoneType"),
        ("decoder_states", "transformer or rnn .* this one has NoneType"),
        ("decoder_attention", "transformer decoder .* this one's is NoneType"),
        ("logits", "choose from"),
    ],
)
def test_a_tap_that_is_not_there(build_model, name, message):
    with pytest.raises(InputError, match=message):
        check_taps([name], build_model("espnet"))


def test_a_decoder_whose_layers_are_a_module_has_no_attention(build_model):
    """As Whisper's."""
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3)
    model.decoder.decoders = torch.nn.Identity()
    with pytest.raises(InputError, match="this one's is TransformerDecoder"):
        check_taps(["decoder_attention"], model)


def test_a_decoder_without_an_output_layer_is_named(build_model):
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3)
    model.decoder.output_layer = None
    with pytest.raises(InputError, match="this one has TransformerDecoder"):
        check_taps(["decoder_states"], model)


def test_hooks_are_gone_afterwards(build_model, batch):
    model = build_model("espnet", decoder="transformer", ctc_weight=0.3)
    names = ["encoder_layer.2", "encoder_out", "ctc_logits"]
    collect(model, batch, [*names, "decoder_logits", "decoder_states"])
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_layer_before_a_pooling_has_other_frames(build_model, batch):
    conf = dict(pool_layers=[2], rel_pos_type="latest", interctc_layer_idx=[3])
    model = build_model(
        encoder="lmkd_pooled_conformer", encoder_conf=conf, interctc_weight=0.5
    )
    assert collect(model, batch, ["encoder_layer.3"])["encoder_layer.3"].data.any()
    with pytest.raises(InputError, match="'encoder_layer.2' .* behind the last pool"):
        collect(model, batch, ["encoder_layer.2"])
