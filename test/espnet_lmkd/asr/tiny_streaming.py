"""A tiny streaming transducer with random weights, as training leaves it."""

import argparse

import torch
import yaml
from tiny_experiment import make_student

BLOCKS = dict(block_size=8, hop_size=3, look_ahead=2)
SAMPLES_A_FRAME = 4 * 128  # subsampling times hop


def make_streaming_student(root, name, **changes):
    """Write `config.yaml` and `valid.loss.ave.pth`; return the folder."""
    from espnet_lmkd.asr.task import ASRKDTask

    exp = make_student(root, name)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    config.update(
        model="espnet",
        model_conf=dict(ctc_weight=0.0),
        encoder="contextual_block_conformer",
        encoder_conf=dict(
            output_size=16,
            attention_heads=2,
            linear_units=24,
            num_blocks=2,
            cnn_module_kernel=3,
            **BLOCKS,
        ),
        decoder="transducer",
        decoder_conf=dict(hidden_size=12),
        joint_net_conf=dict(joint_space_size=16),
    )
    config.update(changes)
    torch.manual_seed(3)
    model = ASRKDTask.build_model(argparse.Namespace(**config))
    if model.use_transducer_decoder:
        peak(model.joint_network)
    torch.save(model.state_dict(), exp / "valid.loss.ave.pth")
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    return exp


def peak(joint_network):
    """Make the outputs peaked, so that hypotheses are not all the same or empty."""
    with torch.no_grad():
        joint_network.lin_enc.weight.mul_(6)
        joint_network.lin_out.weight.mul_(6)
        joint_network.lin_out.bias[0].add_(1)


def pieces(sequence, seed, largest):
    """Cut a sequence into pieces of random sizes, empty ones included."""
    generator = torch.Generator().manual_seed(seed)
    while len(sequence):
        size = int(torch.randint(0, largest + 1, (), generator=generator))
        yield sequence[:size]
        sequence = sequence[size:]
