"""What a recogniser's encoder makes of speech."""

import torch

from espnet_lmkd.padded import Padded


def encode(
    model: torch.nn.Module, speech: torch.Tensor, lengths: torch.Tensor
) -> Padded:
    """Return the encoder's final outputs (B, T, D); the speech stays as it is.

    ESPnet normalises features in place, and gives the intermediate outputs along where
    the encoder has intermediate CTC.

    Args:
        model: an `ESPnetASRModel`.
        speech: (B, N) samples or (B, T', E) features.
        lengths: (B,).
    """
    encoder_out, lengths = model.encode(speech.clone(), lengths)
    if isinstance(encoder_out, tuple):
        encoder_out = encoder_out[0]
    return Padded(encoder_out, lengths)


def encode_one(model: torch.nn.Module, speech: torch.Tensor) -> Padded:
    """Encode one utterance alone, whose frames then know no padding; see `encode`.

    Args:
        model: an `ESPnetASRModel`.
        speech: (N,) samples or (T', E) features.
    """
    lengths = torch.tensor([len(speech)], device=speech.device)
    return encode(model, speech[None], lengths)
