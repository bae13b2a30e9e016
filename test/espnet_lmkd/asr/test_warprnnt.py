"""A stock ESPnet transducer trains and decodes with nothing but this pack."""

import subprocess
import sys

import pytest
import torch
from tiny_student import TOKENS

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import rnnt_loss


@pytest.fixture(scope="module")
def transducer():
    from espnet_lmkd.asr.task import ASRKDTask

    args = ASRKDTask.get_parser().parse_args([])
    args.token_list, args.input_size = TOKENS, 10
    args.frontend, args.normalize, args.model = None, None, "espnet"
    args.model_conf = {"ctc_weight": 0.0}
    args.encoder = "conformer"
    args.encoder_conf = dict(
        output_size=16,
        attention_heads=2,
        linear_units=24,
        num_blocks=1,
        cnn_module_kernel=3,
        input_layer="conv2d2",
    )
    args.decoder, args.decoder_conf = "transducer", {"hidden_size": 8}
    args.joint_net_conf = {"joint_space_size": 12}
    torch.manual_seed(0)
    return ASRKDTask.build_model(args)


def test_loss_is_that_of_the_joint_network(transducer, batch):
    data = {k: v for k, v in batch.items() if not k.startswith("teacher")}
    transducer.eval()
    seen = []
    hook = transducer.joint_network.register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    loss, _, _ = transducer(**data)
    hook.remove()
    lengths = transducer.encode(data["speech"], data["speech_lengths"])[1]
    expected = rnnt_loss(
        seen[0], data["text"].clamp(min=0), lengths, data["text_lengths"]
    )
    torch.testing.assert_close(loss.squeeze(), expected)
    loss.backward()
    named = transducer.named_parameters()
    assert all(parameter.grad is not None for _, parameter in named)


def test_beam_search_runs(transducer):
    from espnet2.asr.transducer.beam_search_transducer import BeamSearchTransducer

    search = BeamSearchTransducer(
        decoder=transducer.decoder, joint_network=transducer.joint_network, beam_size=2
    )
    with torch.no_grad():
        states, _ = transducer.eval().encode(torch.randn(1, 40, 10), torch.tensor([40]))
        assert search(states[0])[0].yseq[0] == 0


def test_an_installed_module_stays(monkeypatch):
    from espnet_lmkd.asr import warprnnt

    installed = object()
    monkeypatch.setitem(sys.modules, "warprnnt_pytorch", installed)
    warprnnt.provide()
    assert sys.modules["warprnnt_pytorch"] is installed


def test_the_stand_in_is_found_and_named_once_in_the_log():
    code = """
import importlib.util, logging, sys
from espnet_lmkd.asr import warprnnt
warprnnt.provide()
print(importlib.util.find_spec("warprnnt_pytorch").name)
logging.basicConfig(level=logging.INFO, stream=sys.stdout)  # as late as ESPnet
for _ in range(2):
    __import__("warprnnt_pytorch").RNNTLoss()
"""
    lines = subprocess.check_output([sys.executable, "-c", code], text=True)
    name, *logged = lines.splitlines()
    assert name == "warprnnt_pytorch" and len(logged) == 1
    assert logged[0].endswith("not installed: transducers use espnet_lmkd's own loss")


def test_the_log_of_a_training_stays():
    # whoever logs through the root logger at import takes ESPnet's INFO lines away
    code = "import logging, espnet_lmkd.asr.task as t; print(logging.root.handlers)"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).splitlines()[-1] == "[]"


def test_fastemit_is_refused():
    from espnet_lmkd.asr.warprnnt import RNNTLoss

    with pytest.raises(InputError, match="fastemit_lambda 0.1: only 0"):
        RNNTLoss(fastemit_lambda=0.1)
