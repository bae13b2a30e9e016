"""Encoder outputs of speech that arrives in pieces, equal to those of it at once."""

import torch
from espnet2.asr.encoder.contextual_block_conformer_encoder import (
    ContextualBlockConformerEncoder,
)
from espnet2.asr.encoder.contextual_block_transformer_encoder import (
    ContextualBlockTransformerEncoder,
)
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.layers.global_mvn import GlobalMVN

from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.errors import InputError

BLOCK_ENCODERS = (ContextualBlockConformerEncoder, ContextualBlockTransformerEncoder)


def check_streams(model: ESPnetASRModel, config) -> None:
    """Refuse a model that needs the whole utterance before it can begin.

    Args:
        model: the recogniser.
        config: its configuration file, for the message.

    Raises:
        InputError: names the part that cannot stream and what can.
    """
    encoder, stft = model.encoder, getattr(model.frontend, "stft", None)
    if not isinstance(encoder, BLOCK_ENCODERS):
        raise InputError(
            f"{config}: the encoder {type(encoder).__name__} cannot stream; train with "
            "encoder: contextual_block_conformer (or contextual_block_transformer)"
        )
    if encoder.block_size <= 0 or encoder.subsample == 1:
        raise InputError(
            f"{config}: block_size {encoder.block_size} and subsampling by "
            f"{encoder.subsample} cannot stream; block_size > 0 and input_layer conv2d,"
            " conv2d6 or conv2d8 are wanted"
        )
    if (
        not isinstance(model.frontend, DefaultFrontend)
        or stft is None
        or (not stft.center)
    ):
        raise InputError(
            f"{config}: the frontend {type(model.frontend).__name__} cannot stream; "
            "speech and frontend: default with center: true are wanted"
        )
    if model.normalize is not None and not isinstance(model.normalize, GlobalMVN):
        raise InputError(
            f"{config}: {type(model.normalize).__name__} needs the whole utterance; "
            "train with normalize: global_mvn"
        )
    for name in ("preencoder", "postencoder"):
        if getattr(model, name) is not None:
            raise InputError(f"{config}: a {name} cannot stream; train without {name}")


def receptive_field(encoder: torch.nn.Module) -> int:
    """Return the features under one output of an encoder's convolutional subsampling.

    Example:
        >>> from types import SimpleNamespace
        >>> embed = SimpleNamespace(kernels=[3, 3], strides=[2, 2])
        >>> receptive_field(SimpleNamespace(embed=embed))
        7
    """
    size = 1
    layers = list(zip(encoder.embed.kernels, encoder.embed.strides))
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


def check_length(encoder: torch.nn.Module, feats: torch.Tensor) -> None:
    """Raise `TooShortUttError` for (1, T, D) features without one output."""
    wanted = receptive_field(encoder)
    if feats.size(1) < wanted:
        raise TooShortUttError("too short for the encoder", feats.size(1), wanted)


def watch_length(encoder: torch.nn.Module) -> None:
    """Have a block encoder raise `TooShortUttError`, as ESPnet's other encoders do.

    Its own convolutions fail with a `RuntimeError`, which ends the decoding of a set.
    """
    if isinstance(encoder, BLOCK_ENCODERS) and hasattr(encoder.embed, "kernels"):
        encoder.register_forward_pre_hook(lambda it, args: check_length(it, args[0]))


class FeatureStream:
    """Normalised log-mel features of speech in pieces.

    A frame is given as soon as all samples under its window are there, so that no frame
    but the first and the last ones of the utterance, as offline, sees a reflected
    border. ESPnet's `Speech2TextStreaming` fills a short last piece with zeros instead,
    which changes the last frames or their number.

    Args:
        model: a recogniser that passes `check_streams`.
    """

    def __init__(self, model: ESPnetASRModel):
        stft = model.frontend.stft
        self.model, self.hop, self.half = model, stft.hop_length, stft.n_fft // 2
        self.reach = stft.n_fft - self.half  # samples needed from a frame's centre on
        # One frame more than the left border spoils, so that at the end the samples
        # kept are never fewer than the right border reflects.
        self.context = -(-self.reach // self.hop) + 1
        self.samples = torch.zeros(0)
        self.first = 0  # frame that is centred on the first sample kept
        self.given = 0  # frames given so far

    def __call__(self, samples: torch.Tensor, is_final: bool = False) -> torch.Tensor:
        """Return the (1, T, D) features that became complete, T may be 0.

        Args:
            samples: (N,) float32, the next ones; N may be 0.
            is_final: no more will come.
        """
        self.samples = torch.cat([self.samples.to(samples), samples])
        end = self.first * self.hop + len(self.samples)
        reflected = self.half if is_final else 0
        complete = (end + reflected - self.reach) // self.hop + 1
        if end <= self.half:  # not enough to reflect
            complete = 0
        if complete <= self.given:
            return samples.new_zeros(1, 0, self.model.frontend.output_size())
        length = torch.tensor([len(self.samples)], device=samples.device)
        feats, _ = self.model.frontend(self.samples[None], length)
        feats = feats[:, self.given - self.first : complete - self.first]
        self.given += feats.size(1)
        keep_from = max(self.first, self.given - self.context)
        self.samples = self.samples[(keep_from - self.first) * self.hop :]
        self.first = keep_from
        if self.model.normalize is not None:
            length = torch.tensor([feats.size(1)], device=samples.device)
            feats, _ = self.model.normalize(feats, length)
        return feats


class EncoderStream:
    """Outputs of a contextual block encoder for speech in pieces.

    Tsunoo et al., "Transformer ASR with Contextual Block Processing", ASRU 2019,
    arXiv:1910.07204, as ESPnet's encoders do it offline: the blocks of pieces of any
    size are those of the whole utterance. The encoders' own `forward_infer` gives the
    same outputs later: its subsampling waits for 5 features more than it needs (9 with
    conv2d8), and each block for the first frame after it. Here only the first block
    does, since an utterance of at most `block_size` frames is encoded without context.

    Args:
        model: a recogniser that passes `check_streams`.
    """

    def __init__(self, model: ESPnetASRModel):
        self.encoder = encoder = model.encoder
        self.overlap = encoder.block_size - encoder.hop_size
        self.past = self.overlap - encoder.look_ahead  # of a block, given before
        self.receptive = receptive_field(encoder)
        self.features = FeatureStream(model)
        device = next(encoder.parameters()).device
        self.feats = torch.zeros(1, 0, model.frontend.output_size(), device=device)
        self.frames = torch.zeros(1, 0, encoder.output_size(), device=device)
        self.num_blocks = 0
        self.summary = self.layer_contexts = None  # what a block hands to the next
        self.tail = self.frames  # the last outputs of a block, if none follows

    def __call__(self, samples: torch.Tensor, is_final: bool = False) -> torch.Tensor:
        """Return the (T, E) outputs that became final, T may be 0.

        Args:
            samples: (N,) float32, the next ones; N may be 0.
            is_final: no more will come.

        Raises:
            TooShortUttError: at the end, for an utterance without one output.
        """
        self._subsample(self.features(samples, is_final))
        hop, size = self.encoder.hop_size, self.encoder.block_size
        outputs = [self.frames[:, :0]]
        while self.frames.size(1) >= size + (self.num_blocks == 0):
            begin = self.past if self.num_blocks else 0
            block = self._encode(self.frames[:, :size])
            outputs.append(block[:, begin : self.past + hop])
            self.tail = block[:, self.past + hop :]
            self.frames = self.frames[:, hop:]
        if is_final:
            outputs.append(self._last())
        encoder_out = torch.cat(outputs, 1)
        if self.encoder.normalize_before:
            encoder_out = self.encoder.after_norm(encoder_out)
        return encoder_out[0]

    def _subsample(self, feats: torch.Tensor) -> None:
        """Append what the next features complete to the frames."""
        feats = torch.cat([self.feats, feats], 1)
        step = self.encoder.subsample
        count = max(0, (feats.size(1) - self.receptive) // step + 1)
        if count:
            used = feats[:, : (count - 1) * step + self.receptive]
            frames, _ = self.encoder.embed(used, None)
            self.frames = torch.cat([self.frames, frames], 1)
        self.feats = feats[:, count * step :]

    def _encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode a block of (1, T, E) frames, T <= block_size, with context."""
        encoder, length, size = self.encoder, frames.size(1), self.encoder.block_size
        summary = frames.mean(1, keepdim=True)
        if encoder.ctx_pos_enc:
            summary = encoder.pos_enc(summary, self.num_blocks)
        before = summary if self.summary is None else self.summary
        frames = encoder.pos_enc(frames, self.num_blocks * encoder.hop_size)
        padding = frames.new_zeros(1, size - length, frames.size(2))
        block = torch.cat([before, frames, padding, summary], 1)
        mask = block.new_zeros(1, 1, size + 2, size + 2)
        mask[:, :, 1:, :-1] = 1
        block, _, _, _, self.layer_contexts, _, _ = encoder.encoders(
            block[:, None], mask, True, self.layer_contexts
        )
        self.summary = summary
        self.num_blocks += 1
        return block[:, 0, 1 : length + 1]

    def _last(self) -> torch.Tensor:
        """Encode what is left at the end of the utterance."""
        if self.num_blocks == 0:
            if self.frames.size(1) == 0:
                check_length(self.encoder, self.feats)
            frames = self.encoder.pos_enc(self.frames)[:, None]
            return self.encoder.encoders(frames, None, True, None, None, True)[0][:, 0]
        if self.frames.size(1) > self.overlap:
            return self._encode(self.frames)[:, self.past :]
        return self.tail
