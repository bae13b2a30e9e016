"""`encoder: lmkd_speech` in an ESPnet model."""

import pytest
import torch
import yaml
from test_pretrained_speech import save
from tiny_student import TOKENS

from espnet_lmkd.errors import InputError


@pytest.fixture
def build(tmp_path):
    """Return a function that builds a CTC recogniser on a tiny HuBERT."""
    from espnet_lmkd.asr.task import ASRKDTask

    save("hubert", tmp_path)

    def build(**conf):
        args = ASRKDTask.get_parser().parse_args([])
        args.token_list, args.input_size = TOKENS, 1
        args.frontend, args.normalize = None, None
        args.encoder = "lmkd_speech"
        args.encoder_conf = {"model": str(tmp_path), **conf}
        args.decoder, args.model_conf = None, {"ctc_weight": 1.0}
        return ASRKDTask.build_model(args), args

    return build


BATCH = dict(
    speech=torch.randn(2, 8000, generator=torch.Generator().manual_seed(0)),
    speech_lengths=torch.tensor([8000, 6000]),
    text=torch.tensor([[2, 3], [4, -1]]),
    text_lengths=torch.tensor([2, 1]),
)


def gradients(model):
    loss, _, _ = model(**BATCH)
    loss.backward()
    named = model.encoder.pretrained.model.named_parameters()
    return {name for name, parameter in named if parameter.grad is not None}


def test_what_is_frozen_gets_no_gradient(build):
    everything = gradients(build(freeze="none")[0])
    assert any(name.startswith("feature_extractor") for name in everything)
    tuned = gradients(build(freeze="front")[0])
    assert tuned == {n for n in everything if not n.startswith("feature_extractor")}
    model, _ = build(freeze="all", layer_mix=True)
    assert not gradients(model.train()) and not model.encoder.pretrained.training
    assert model.encoder.mix.grad is not None


def test_the_trained_model_is_built_without_the_pretrained_one(build, tmp_path):
    model, args = build(stack=2)
    assert model.encoder.output_size() == 32
    conf = yaml.safe_load(yaml.safe_dump(args.encoder_conf))
    again, _ = build(**{**conf, "model": "nowhere"})
    again.load_state_dict(model.state_dict())
    speech, lengths = BATCH["speech"], BATCH["speech_lengths"]
    with torch.no_grad():
        one, other = (m.eval().encode(speech, lengths) for m in (model, again))
    assert one[0].equal(other[0]) and one[1].tolist() == [12, 9]


def test_wrong_options_are_named(build):
    with pytest.raises(InputError, match="unknown freeze 'half'; choose one of"):
        build(freeze="half")
