"""A pretrained speech encoder as ESPnet's encoder, on raw speech."""

from typing import Any, Dict, Optional, Tuple

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from espnet_lmkd.asr.pretrained_speech import PretrainedSpeech, stack_frames
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

FREEZES = ("all", "front", "none")


class SpeechEncoder(AbsEncoder):
    """HuBERT, wav2vec 2.0, WavLM or Whisper encoder: `encoder: lmkd_speech`.

    Wants `input_size: 1` and no frontend. Training puts `config` into the experiment's
    config.yaml, so that loading the trained model never asks for the pretrained one.

    Args:
        input_size: 1, raw speech at 16 kHz.
        model: folder, or id on the Hugging Face hub; read only without `config`.
        revision: branch, tag or commit on the hub.
        config: builds the encoder without its pretrained weights.
        freeze: `all`, the convolutional `front`, or `none`.
        layer_mix: a learned mean of all layers instead of the last one.
        stack: number of neighbouring frames joined to one, 50 / stack a second.

    Raises:
        InputError: an unknown `freeze`, another `input_size`, or no such model.
    """

    def __init__(
        self,
        input_size: int = 1,
        model: str = "facebook/hubert-base-ls960",
        revision: Optional[str] = None,
        config: Optional[Dict[str, Any]] = None,
        freeze: str = "front",
        layer_mix: bool = False,
        stack: int = 1,
    ):
        super().__init__()
        if freeze not in FREEZES:
            raise InputError(
                f"lmkd_speech: unknown freeze {freeze!r}; choose one of {FREEZES}"
            )
        if input_size != 1:
            raise InputError(
                f"lmkd_speech reads raw speech; give input_size: 1, not {input_size}"
            )
        if config:
            self.pretrained = PretrainedSpeech.from_config(config)
        else:
            self.pretrained = PretrainedSpeech.from_pretrained(model, revision)
        self.freeze, self.stack = freeze, stack
        encoder = self.pretrained.model
        fronts = ("conv1", "conv2", "embed_positions", "feature_extractor")
        for name, parameter in encoder.named_parameters():
            is_front = name.startswith(fronts)
            if freeze == "all" or freeze == "front" and is_front:
                parameter.requires_grad_(False)
            if name == "masked_spec_embed":  # never used: DDP would wait for it
                parameter.requires_grad_(False)
        front = getattr(encoder, "feature_extractor", None)
        if freeze == "front" and front is not None:
            front._freeze_parameters()  # or transformers differentiates its input
        self.mix = None
        if layer_mix:
            self.mix = torch.nn.Parameter(torch.zeros(self.pretrained.num_layers + 1))

    def output_size(self) -> int:
        """Return D, width of the stacked frames."""
        return self.pretrained.size * self.stack

    def config(self) -> Dict[str, Any]:
        """Return what `config` wants."""
        return self.pretrained.config()

    def train(self, mode: bool = True):
        """Set the mode; a frozen encoder stays as it is in recognition."""
        super().train(mode)
        if self.freeze == "all":
            self.pretrained.eval()
        return self

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor = None,
    ) -> Tuple[torch.Tensor, torch.Tensor, None]:
        """Encode (B, N) samples as (B, ceil(T / stack), D)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.freeze != "all"):
            layers, lengths = self.pretrained(xs_pad, ilens)
        frames = layers[-1]
        if self.mix is not None:
            weights = self.mix.softmax(0)
            frames = sum(w * layer for w, layer in zip(weights, layers))
        # What lies beyond an utterance must not slip into its last stacked frame.
        frames = frames * Padded(frames, lengths).mask.unsqueeze(2)
        return stack_frames(frames, self.stack), -(-lengths // self.stack), None
