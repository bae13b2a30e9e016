"""Random activations and targets, in the shapes that distillers are given."""

import torch

from espnet_lmkd.alignment.lattice import path_of_hypothesis
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.padded import Padded

STUDENT = StudentSpec(13, 8, 4, sos=12, eos=12, decoder_size=10, predictor_size=5)
TOPK, HIDDEN = 3, 6
TEXT, FRAMES = [4, 2, 3], [9, 5, 7]


def make_batch(distiller, seed=0, with_targets=True, text=TEXT):
    """Random activations and targets for whatever the distiller declares."""
    generator = torch.Generator().manual_seed(seed)
    text, frames = torch.tensor(text), torch.tensor(FRAMES)
    target_lengths = text if with_targets else torch.zeros_like(text)

    def floats(lengths, width):
        return torch.randn(len(lengths), int(max(lengths)), width, generator=generator)

    def ids(lengths, *width):
        shape = (len(lengths), int(max(lengths)), *width)
        return torch.randint(1, 12, shape, generator=generator)

    def topk_ids():
        found = Padded(ids(target_lengths, TOPK), target_lengths)
        return Padded(found.data.masked_fill(~found.mask[..., None], -1), found.lengths)

    longest = int(text.max())
    heads = floats(text + 1, 4 * 9).view(3, -1, 4, 9)
    rows = frames + text if with_targets else torch.zeros_like(text)

    def path():
        emissions = ids(text) % frames.unsqueeze(1)
        *nodes, _ = path_of_hypothesis(emissions.sort(1).values, frames, text)
        return Padded(torch.stack(nodes, dim=2)[:, : int(rows.max())], rows)

    makers = {
        "text": lambda: Padded(ids(text), text),
        "encoder_out": lambda: Padded(floats(frames, 8), frames),
        "ctc_logits": lambda: Padded(floats(frames, 13), frames),
        "decoder_logits": lambda: Padded(floats(text + 1, 13), text + 1),
        "decoder_states": lambda: Padded(floats(text + 1, 10), text + 1),
        "decoder_attention": lambda: Padded(heads.softmax(3), text + 1),
        "cif_vectors": lambda: Padded(floats(text + 1, 8), text + 1),
        "cif_weights": lambda: Padded(floats(frames, 1).sigmoid().squeeze(2), frames),
        "predictor_out": lambda: Padded(floats(text + 1, 5), text + 1),
        "joint_network": lambda: joint_network,
        "blank_scores": lambda: Padded(
            floats(frames, longest + 1).sigmoid().log(), frames
        ),
        "label_scores": lambda: Padded(floats(frames, longest).sigmoid().log(), frames),
        "teacher_path": path,
        "teacher_path_topk_ids": lambda: Padded(
            floats(rows, 13).argsort(2)[..., :TOPK], rows
        ),
        "teacher_path_topk_log_probs": lambda: Padded(
            floats(rows, TOPK + 1).log_softmax(2)[..., 1:], rows
        ),
        "teacher_topk_ids": topk_ids,
        "teacher_topk_log_probs": lambda: Padded(
            floats(target_lengths, TOPK), target_lengths
        ),
        "teacher_hidden": lambda: Padded(
            floats(target_lengths, HIDDEN), target_lengths
        ),
        "teacher_tokens": lambda: Padded(ids(target_lengths, 1), target_lengths),
        "teacher_tokens_topk_ids": topk_ids,
        "teacher_tokens_topk_log_probs": lambda: Padded(
            floats(target_lengths, TOPK), target_lengths
        ),
    }

    def make(name):
        return makers["encoder_out" if name.startswith("encoder_layer.") else name]()

    student = {name: make(name) for name in distiller.taps}
    teacher = {name: make(name) for name in distiller.targets}
    return student, teacher


def joint_network(encoder_out, predictor_out):
    """To 13 classes; without parameters, which would not be the distiller's."""
    states = torch.cat([encoder_out, predictor_out], dim=-1)
    return 2 * states * states.roll(1, -1)
