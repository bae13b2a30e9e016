"""Pieces of any size give the features and blocks of the whole utterance."""

import pytest
import torch
from tiny_streaming import BLOCKS, SAMPLES_A_FRAME, make_streaming_student, pieces

from espnet_lmkd.errors import InputError


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a function that builds and keeps models of a changed configuration."""
    from espnet_lmkd.asr.task import ASRKDTask

    root, built = tmp_path_factory.mktemp("models"), {}

    def build(name="plain", **changes):
        if name not in built:
            exp = make_streaming_student(root, name, **changes)
            files = str(exp / "config.yaml"), str(exp / "valid.loss.ave.pth")
            built[name] = ASRKDTask.build_model_from_file(*files)[0].eval()
        return built[name]

    return build


def noise(length):
    generator = torch.Generator().manual_seed(length)
    return 0.1 * torch.randn(length, generator=generator)


def whole(model, speech):
    """Return features of the utterance, as ESPnet's `encode` has them."""
    feats, lengths = model._extract_feats(speech[None], torch.tensor([len(speech)]))
    return model.normalize(feats, lengths)[0]


FRONTENDS = {
    "plain": {},
    "kaldi": dict(n_fft=512, win_length=400, hop_length=160),
    "sparse": dict(n_fft=256, hop_length=300),
    "halves": dict(n_fft=512, hop_length=256),
    "dense": dict(n_fft=512, hop_length=100),
}


@pytest.mark.parametrize("name", FRONTENDS)
@torch.no_grad()
def test_features_are_those_of_the_whole_utterance(models, name):
    from espnet_lmkd.asr.streaming_encoder import FeatureStream

    model = models(name, frontend_conf=FRONTENDS[name])
    hop = model.frontend.hop_length
    for length in (257, 300, 512, 513, 10 * hop, 10 * hop + 1, 11 * hop - 1, 6_007):
        speech = noise(length)
        expected = whole(model, speech)
        for largest in (40, 600, 2_000, 10_000):
            stream, found = FeatureStream(model), []
            for piece in pieces(speech, length, largest):
                found.append(stream(piece))
            found.append(stream(speech[:0], is_final=True))
            found = torch.cat(found, 1)
            assert found.shape == expected.shape, (length, largest)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_frame_comes_with_its_last_sample(models):
    from espnet_lmkd.asr.streaming_encoder import FeatureStream

    stream, speech = FeatureStream(models()), noise(2_000)
    for heard in range(1, len(speech) + 1):
        stream(speech[heard - 1 : heard])
        # The first frame is reflected, which needs one sample more.
        complete = sum(max(128 * k + 256, 257) <= heard for k in range(heard))
        assert stream.given == complete
        assert len(stream.samples) <= 128 * 4 + 256  # and memory does not grow


BLOCK_CONFS = {
    "plain": {},
    "transformer": dict(
        encoder="contextual_block_transformer",
        encoder_conf=dict(
            BLOCKS, output_size=16, attention_heads=2, linear_units=24, num_blocks=2
        ),
    ),
    "conv2d8": dict(
        encoder_conf=dict(
            **dict(output_size=16, attention_heads=2, linear_units=24, num_blocks=2),
            **dict(block_size=6, hop_size=2, look_ahead=4, input_layer="conv2d8"),
        )
    ),
}


@pytest.mark.parametrize("name", BLOCK_CONFS)
@torch.no_grad()
def test_blocks_are_those_of_the_whole_utterance(models, name):
    from espnet_lmkd.asr.streaming_encoder import EncoderStream

    model = models(name, **BLOCK_CONFS[name])
    encoder, frame = model.encoder, 128 * model.encoder.subsample
    shortest = {4: 6, 8: 14}[encoder.subsample] * 128  # frame 6 (14) is the 7th (15th)
    block = encoder.block_size * frame + shortest - frame  # fills the first block
    lengths = [shortest, block - frame, block, block + frame, block + 2 * frame]
    lengths += [block + encoder.hop_size * frame, block + 16_000, 20_011]
    for length in lengths:
        speech = noise(length)
        feats = whole(model, speech)
        frames = torch.tensor([feats.size(1)])
        expected = encoder(feats, frames, None, is_final=True, infer_mode=True)[0][0]
        offline = model.encode(speech[None], torch.tensor([length]))[0][0]
        assert torch.equal(offline, expected)
        for largest in (300, 3_000, 10_000, 50_000):
            stream, found = EncoderStream(model), []
            for piece in pieces(speech, length, largest):
                found.append(stream(piece))
            found.append(stream(speech[:0], is_final=True))
            found = torch.cat(found)
            assert found.shape == expected.shape, (length, largest)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_block_comes_as_soon_as_it_can(models):
    from espnet_lmkd.asr.streaming_encoder import EncoderStream

    stream, hop, size = EncoderStream(models()), BLOCKS["hop_size"], 8
    heard = {}
    for count, piece in enumerate(noise(25 * SAMPLES_A_FRAME).split(64), 1):
        outputs = len(stream(piece))
        if outputs:
            heard[count * 64] = outputs
    # Frame i of a block sees features up to 4i + 6, feature k samples to 128k + 256;
    # the first block waits for one frame more, since it may be the only one.
    last_frames = [size] + [size - 1 + hop * i for i in range(1, len(heard))]
    assert list(heard) == [(4 * i + 6) * 128 + 256 for i in last_frames]
    first = size - BLOCKS["look_ahead"]
    assert list(heard.values()) == [first] + [hop] * (len(heard) - 1)
    assert len(heard) > 4


def test_too_short_utterances_are_named(models):
    from espnet_lmkd.asr.compat import TooShortUttError
    from espnet_lmkd.asr.streaming_encoder import EncoderStream

    for length in (0, 1, 256, 257, 6 * 128 - 1):
        stream = EncoderStream(models())
        with pytest.raises(TooShortUttError), torch.no_grad():
            stream(noise(length)[: length // 2])
            stream(noise(length)[length // 2 :], is_final=True)
    assert len(EncoderStream(models())(noise(6 * 128), is_final=True)) == 1


def test_models_that_need_the_whole_utterance_are_refused(models):
    from espnet_lmkd.asr.streaming_encoder import check_streams

    check_streams(models(), "config.yaml")
    sizes = dict(output_size=16, linear_units=24, num_blocks=1, attention_heads=2)
    blocks = dict(sizes, **BLOCKS)
    whole = dict(encoder="conformer", encoder_conf=sizes)
    for name, changes, message in (
        ("conformer", whole, "ConformerEncoder cannot stream"),
        ("linear", dict(encoder_conf=dict(blocks, input_layer="linear")), "conv2d6"),
        ("endless", dict(encoder_conf=dict(blocks, block_size=0)), "block_size > 0"),
        ("edges", dict(frontend_conf=dict(center=False)), "center: true"),
        ("features", dict(input_size=80, frontend=None), "speech and frontend"),
        ("mvn", dict(normalize="utterance_mvn", normalize_conf={}), "global_mvn"),
        (
            "pre",
            dict(
                preencoder="linear", preencoder_conf=dict(input_size=80, output_size=8)
            ),
            "preencoder cannot stream",
        ),
    ):
        with pytest.raises(InputError, match=f"config.yaml: .*{message}"):
            check_streams(models(name, **changes), "config.yaml")
