import pytest
import torch

from espnet_lmkd.asr.pooled_conformer import PooledConformerEncoder
from espnet_lmkd.errors import InputError

CONF = dict(
    output_size=8,
    attention_heads=2,
    linear_units=8,
    num_blocks=3,
    input_layer="linear",
    rel_pos_type="latest",
    use_cnn_module=False,  # ESPnet's convolutions see the padding
)


def build(pool_layers=(1, 2), **conf):
    torch.manual_seed(0)
    encoder = PooledConformerEncoder(5, pool_layers, **{**CONF, **conf})
    return encoder.eval()


@torch.no_grad()
def plain_encode(encoder, speech):
    """The layers one after the other, with a fresh position for each length."""
    states = encoder.embed[:3](speech)
    states, positions = encoder.embed[3](states)
    for index, layer in enumerate(encoder.encoders):
        if index:
            pairs = [states[:, t : t + 2].amax(1) for t in range(0, states.shape[1], 2)]
            states = torch.stack(pairs, dim=1)
            _, positions = encoder.embed[3](states)
        mask = torch.ones(1, 1, states.shape[1], dtype=torch.bool)
        hooks, layer._forward_pre_hooks = layer._forward_pre_hooks, {}
        (states, _), _ = layer((states, positions), mask)
        layer._forward_pre_hooks = hooks
    return encoder.after_norm(states)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 11, 12, 13])
def test_layers_and_maxima_one_after_the_other(frames):
    encoder, speech = build(), torch.randn(1, frames, 5)
    out, lengths, _ = encoder(speech, torch.tensor([frames]))
    torch.testing.assert_close(out, plain_encode(encoder, speech))
    assert lengths.tolist() == [-(-frames // 4)] == [out.shape[1]]


def test_an_utterance_does_not_depend_on_its_batch():
    encoder, speech = build(), torch.randn(3, 13, 5)
    out, lengths, _ = encoder(speech, torch.tensor([13, 6, 1]))
    assert lengths.tolist() == [4, 2, 1]
    for index, frames in enumerate([13, 6, 1]):
        part = speech[index : index + 1, :frames]
        alone, _, _ = encoder(part, torch.tensor([frames]))
        torch.testing.assert_close(out[index, : lengths[index]], alone[0])


def test_layers_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"pool_layers \[3\]: layers of 1..2"):
        build([3])
    with pytest.raises(InputError, match="behind the last pooling, after layer 2"):
        build([1, 2], interctc_layer_idx=[2])
    with pytest.raises(InputError, match="rel_pos_type: latest"):
        build([1], rel_pos_type="legacy")
