"""When each token of an utterance is said."""

from typing import List, NamedTuple, Sequence

import torch

from espnet_lmkd.alignment.ctc import ctc_align
from espnet_lmkd.asr.cif_decoder import CIFDecoder
from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.encoding import encode_one
from espnet_lmkd.asr.words import Timed
from espnet_lmkd.errors import InputError

METHODS = ("cif", "ctc")


class Alignment(NamedTuple):
    """Where an utterance's tokens lie.

    Args:
        times: (L, 2) start and end of each token, in frames.
        weights: (T,) of the frames: what they add to a token (cif), or the probability
            that they emit one (ctc).
    """

    times: torch.Tensor
    weights: torch.Tensor


@torch.no_grad()
def align_tokens(
    model: torch.nn.Module, speech: torch.Tensor, token_ids: Sequence[int], method: str
) -> Alignment:
    """Find the frames of each token of an utterance whose text is known.

    cif: token u lasts while the running sum of the weights goes from u-1 to u, the
    weights being scaled to the number of tokens and eos, as in training
    ctc: token u is the frames that emit it on the best path

    Args:
        model: an `ESPnetASRModel` in eval mode.
        speech: (N,) samples or (T, E) features.
        token_ids: the text, without eos.
        method: `cif` or `ctc`.

    Raises:
        InputError: the model has no such decoder or CTC layer.
        TooShortUttError: the utterance is too short for the encoder or for its text.
    """
    if method == "cif" and not isinstance(model.decoder, CIFDecoder):
        raise InputError(f"--method cif needs a CIF student; choose one of {METHODS}")
    if method == "ctc" and model.ctc is None:
        raise InputError("--method ctc needs a student with ctc_weight > 0")
    encoded = encode_one(model, speech)
    if method == "cif":
        wanted = torch.tensor([len(token_ids) + 1])
        fired = model.decoder.integrator(encoded, wanted)
        ends = fired.boundaries[0]
        starts = torch.nn.functional.pad(ends, (1, -1))
        times = torch.stack([starts, ends], dim=1)[:-1]
        return Alignment(times, fired.weights[0])
    log_probs, frames = model.ctc.log_softmax(encoded.data), encoded.lengths
    text = torch.tensor([token_ids], device=speech.device)
    positions, aligned = ctc_align(
        log_probs, frames, text, torch.tensor([len(token_ids)]), model.blank_id
    )
    if not aligned.all():
        raise TooShortUttError(
            f"{int(frames)} frames are too few for {len(token_ids)} tokens",
            int(frames),
            len(token_ids),
        )
    emits = positions[0] == torch.arange(len(token_ids), device=text.device)[:, None]
    index = torch.arange(emits.shape[1], device=text.device)
    starts = index.masked_fill(~emits, emits.shape[1]).amin(1)
    ends = index.masked_fill(~emits, -1).amax(1) + 1
    weights = 1 - log_probs[0, :, model.blank_id].exp()
    return Alignment(torch.stack([starts, ends], dim=1).float(), weights)


def in_seconds(
    alignment: Alignment, tokens: Sequence[str], seconds: float
) -> List[Timed]:
    """Give tokens their times, the utterance's frames sharing its length equally.

    Args:
        alignment: of `align_tokens`.
        tokens: (L,) as the token list writes them.
        seconds: length of the utterance.

    Example:
        >>> alignment = Alignment(torch.tensor([[0.0, 1.5]]), torch.zeros(3))
        >>> in_seconds(alignment, ["a"], 0.12)
        [Timed(text='a', start=0.0, end=0.06)]
    """
    frame = seconds / len(alignment.weights)
    return [
        Timed(token, round(start * frame, 3), round(end * frame, 3))
        for token, (start, end) in zip(tokens, alignment.times.tolist())
    ]
