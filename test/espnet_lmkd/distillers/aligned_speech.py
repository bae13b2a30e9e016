"""CTC logits whose best path can be read off: one class far above the others."""

import torch

from espnet_lmkd.padded import Padded

BLANK, CLASSES = 0, 9
# The emitted class of each frame, and the text that it spells.
PATHS = [[0, 3, 3, 3, 0, 5, 0, 3], [2, 0, 2, 2], [4, 6, 6, 0, 0]]
TEXTS = [[3, 5, 3], [2, 2], [4, 6]]
# The frames that emit each token.
EMITTING = [[[1, 2, 3], [5], [7]], [[0], [2, 3]], [[0], [1, 2]]]


def aligned_speech():
    """Return text and CTC logits of three utterances as padded batches."""
    frames = [len(path) for path in PATHS]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, max(frames), CLASSES, generator=generator)
    text = torch.full((3, 3), -1)
    for index, (path, tokens) in enumerate(zip(PATHS, TEXTS)):
        logits[index, range(len(path)), path] += 20.0
        text[index, : len(tokens)] = torch.tensor(tokens)
    return {
        "text": Padded(text, torch.tensor([len(tokens) for tokens in TEXTS])),
        "ctc_logits": Padded(logits.requires_grad_(), torch.tensor(frames)),
    }
