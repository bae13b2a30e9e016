"""A tiny student and a batch, built once."""

import pytest
import torch
from tiny_student import DECODER, TOKENS, make_batch


@pytest.fixture(scope="session")
def build_model():
    """Return a function that builds a model from a few changes to a tiny config."""
    from espnet_lmkd.asr.task import ASRKDTask

    def build(
        model="lmkd",
        seed=0,
        encoder="conformer",
        encoder_conf=None,
        decoder=None,
        decoder_conf=None,
        **model_conf,
    ):
        args = ASRKDTask.get_parser().parse_args([])
        args.token_list = TOKENS
        args.input_size, args.frontend = 10, None
        args.normalize = None
        args.model = model
        args.model_conf = {"ctc_weight": 1.0, **model_conf}
        args.encoder = encoder
        args.encoder_conf = dict(
            output_size=16,
            attention_heads=2,
            linear_units=24,
            num_blocks=4,
            cnn_module_kernel=3,
            input_layer="conv2d2",
        )
        args.encoder_conf.update(encoder_conf or {})
        args.decoder = decoder
        args.decoder_conf = DECODER if decoder else {}
        if decoder == "transducer":
            args.decoder_conf = {"hidden_size": 8}
            args.joint_net_conf = {"joint_space_size": 12}
        if decoder_conf:
            args.decoder_conf = decoder_conf
        build.last_args = args
        torch.manual_seed(seed)
        return ASRKDTask.build_model(args)

    return build


@pytest.fixture
def batch():
    return make_batch()
