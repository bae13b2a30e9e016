"""CTC greedy search: each frame's likeliest symbol, less repetitions and blanks."""

from itertools import groupby
from typing import Collection, List, Sequence, Tuple

import torch

from espnet_lmkd.asr.encoding import encode_one
from espnet_lmkd.errors import InputError


def collapse(path: Sequence[int], silent: Collection[int]) -> List[int]:
    """Merge repetitions, then remove the symbols that are not text.

    Example:
        >>> collapse([0, 7, 7, 0, 7, 9, 9], silent={0})
        [7, 7, 9]
    """
    return [symbol for symbol, _ in groupby(path) if symbol not in silent]


@torch.no_grad()
def ctc_greedy(model: torch.nn.Module, speech: torch.Tensor) -> Tuple[List[int], float]:
    """Decode one utterance; only the encoder and the CTC layer run.

    One at a time, because ESPnet's convolutions see the padding of a batch: the output
    of most utterances would depend on their neighbours.

    score = sum_t max_v log p_t(v)

    Args:
        model: an `ESPnetASRModel` in eval mode.
        speech: (N,) float32 samples.

    Returns:
        Token ids and the score.

    Raises:
        InputError: the student has no CTC layer.
    """
    if model.ctc is None:
        raise InputError(
            "ctc_greedy needs a student with ctc_weight > 0; use search: beam"
        )
    encoder_out = encode_one(model, speech).data
    score, path = model.ctc.log_softmax(encoder_out)[0].max(-1)
    silent = {model.blank_id, model.sos, model.eos}
    return collapse(path.tolist(), silent), float(score.sum())
