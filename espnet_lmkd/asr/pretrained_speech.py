"""HuBERT, wav2vec 2.0, WavLM and Whisper encoders behind one face: speech to frames."""

from typing import Any, Dict, List, Tuple

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from espnet_lmkd.errors import InputError, first_sentence

SAMPLE_RATE = 16000
WHISPER_SECONDS = 30
WHISPER_HOP = 320  # samples a frame
FAMILIES = ("hubert", "wav2vec2", "wavlm", "whisper")


class PretrainedSpeech(torch.nn.Module):
    """A speech encoder of transformers whose output for an utterance knows no padding.

    The convolutional fronts run one utterance at a time, since their group norms would
    see padding; the Transformer above them runs on the batch. Whisper takes exactly
    30 s: shorter speech is padded and its frames cut off again, longer speech comes in
    equal parts, and is refused where the encoder is trained.

    Args:
        model: the encoder.
        normalize: make each waveform's mean 0 and variance 1, as it was trained.
    """

    def __init__(self, model: torch.nn.Module, normalize: bool):
        super().__init__()
        self.model, self.normalize = model, normalize
        self.is_whisper = model.config.model_type == "whisper"
        # A dropped layer has no output and no gradient.
        (model if self.is_whisper else model.config).layerdrop = 0.0
        if self.is_whisper:
            extractor = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
            filters = torch.from_numpy(extractor.mel_filters).float()
            self.register_buffer("mel_filters", filters.T, persistent=False)

    @classmethod
    def from_pretrained(cls, source, revision=None, dtype="float32"):
        """Load an encoder; code that came with a model is never run.

        Args:
            source: folder, or id on the Hugging Face hub.
            revision: branch, tag or commit on the hub.
            dtype: of the weights.

        Raises:
            InputError: there is no such model, it is of another family, or lacks
                weights.
        """
        safely = {"trust_remote_code": False, "revision": revision}
        try:
            config = AutoConfig.from_pretrained(source, **safely)
            if config.model_type not in FAMILIES:
                raise InputError(
                    f"speech encoder {source!r} is a {config.model_type}; one of"
                    f" {', '.join(FAMILIES)} was wanted"
                )
            auto_class, mapping = AutoModel, {}
            if config.model_type == "whisper":
                auto_class = WhisperEncoder
                mapping = {"key_mapping": {r"^(model\.)?encoder\.": ""}}
            model, info = auto_class.from_pretrained(
                source,
                dtype=getattr(torch, dtype),
                weights_only=True,
                output_loading_info=True,
                **mapping,
                **safely,
            )
            extractor = AutoFeatureExtractor.from_pretrained(source, **safely)
        except (OSError, ValueError) as error:
            raise InputError(
                f"speech encoder {source!r} is neither a folder nor an id that the"
                f" Hugging Face hub gives ({first_sentence(error)})"
            ) from error
        # Masking vectors are for pretraining; anything else would be random.
        missing = [x for x in info["missing_keys"] if "masked_spec_embed" not in x]
        if missing:
            raise InputError(
                f"speech encoder {source!r} lacks the weights {missing[0]}"
            )
        if info["missing_keys"]:  # the same at each load: adapters hash the weights
            torch.nn.init.zeros_(model.masked_spec_embed)
        return cls(model, bool(getattr(extractor, "do_normalize", False)))

    @classmethod
    def from_config(cls, config: Dict[str, Any]):
        """Build an encoder with random weights from what `config` returned."""
        config = dict(config)
        normalize = config.pop("normalize_waveform")
        hf_config = AutoConfig.for_model(**config)
        if hf_config.model_type == "whisper":
            return cls(WhisperEncoder(hf_config), normalize)
        return cls(AutoModel.from_config(hf_config), normalize)

    def config(self) -> Dict[str, Any]:
        """Return what builds this encoder again, without weights and network."""
        config = self.model.config.to_diff_dict()
        config.pop("dtype", None)
        config["model_type"] = self.model.config.model_type
        return {**config, "normalize_waveform": self.normalize}

    @property
    def size(self) -> int:
        """E, width of a frame."""
        return self.model.config.hidden_size

    @property
    def num_layers(self) -> int:
        """Number of Transformer layers."""
        return self.model.config.num_hidden_layers

    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> Tuple[List[torch.Tensor], torch.Tensor]:
        """Encode a batch.

        Args:
            speech: (B, N) samples at 16 kHz.
            lengths: (B,) valid samples.

        Returns:
            The input of the Transformer and the output of each of its layers, the last
            one normalised, (B, T, E) each; and (B,) valid frames: 50 a second, for all
            but Whisper the last ones that a window of 25 ms does not fill are missing.

        Raises:
            InputError: Whisper got more than 30 s in training.
        """
        waves = [wave[:n] for wave, n in zip(speech, lengths.tolist())]
        if self.is_whisper:
            return self._encode_log_mel(waves)
        return self._encode_waves(waves)

    def _encode_waves(self, waves):
        if self.normalize:
            waves = [
                (w - w.mean()) / (w.var(unbiased=False) + 1e-7).sqrt() for w in waves
            ]
        dtype = next(self.model.parameters()).dtype
        fronts = [
            self.model.feature_extractor(wave[None].to(dtype))[0].T for wave in waves
        ]
        lengths = torch.tensor([len(front) for front in fronts])
        states = torch.nn.utils.rnn.pad_sequence(fronts, batch_first=True)
        states = self.model.feature_projection(states)
        if isinstance(states, tuple):  # with what was projected
            states = states[0]
        steps = torch.arange(states.shape[1])
        mask = (steps < lengths.unsqueeze(1)).to(states.device)
        layers = self._layers(self.model.encoder, states, attention_mask=mask)
        return layers, lengths.to(states.device)

    def _encode_log_mel(self, waves):
        longest = max(map(len, waves)) / SAMPLE_RATE
        if self.training and longest > WHISPER_SECONDS:
            raise InputError(
                f"an utterance of {longest:.1f} s came, to train Whisper at most"
                f" {WHISPER_SECONDS} s are wanted; drop it (stage 3: --max_wav_duration"
                f" {WHISPER_SECONDS}) or freeze the encoder (freeze: all)"
            )
        dtype = next(self.model.parameters()).dtype
        most = WHISPER_SECONDS * SAMPLE_RATE
        parts = [wave.tensor_split(max(-(-len(wave) // most), 1)) for wave in waves]
        mels = torch.stack([self.log_mel(part) for wave in parts for part in wave])
        counts = [[-(-len(part) // WHISPER_HOP) for part in wave] for wave in parts]
        layers = []
        for layer in self._layers(self.model, mels.to(dtype)):
            frames = iter(layer)
            joined = [torch.cat([next(frames)[:n] for n in count]) for count in counts]
            layers.append(torch.nn.utils.rnn.pad_sequence(joined, batch_first=True))
        lengths = [sum(count) for count in counts]
        return layers, torch.tensor(lengths, device=mels.device)

    def _layers(self, transformer, *args, **kwargs):
        """Run a Transformer and return what its first layer reads and all write."""
        seen = []

        def keep_input(module, args, kwargs):
            seen.append(args[0] if args else kwargs["hidden_states"])

        def keep_output(module, args, output):
            seen.append(output[0] if isinstance(output, tuple) else output)

        layers = transformer.layers
        handles = [layers[0].register_forward_pre_hook(keep_input, with_kwargs=True)]
        handles += [layer.register_forward_hook(keep_output) for layer in layers]
        try:
            last = transformer(*args, **kwargs).last_hidden_state
        finally:
            for handle in handles:
                handle.remove()
        return [*seen[:-1], last]

    def log_mel(self, wave: torch.Tensor) -> torch.Tensor:
        """Return Whisper's (mel bins, 3000) features of (N,) samples."""
        missing = WHISPER_SECONDS * SAMPLE_RATE - len(wave)
        # In float16 the power of what is not loud would be 0.
        with torch.autocast(wave.device.type, enabled=False):
            wave = torch.nn.functional.pad(wave.float(), (0, missing))
            window = torch.hann_window(400, device=wave.device)
            spectrum = torch.stft(wave, 400, 160, window=window, return_complex=True)
            mel = self.mel_filters.float() @ spectrum[:, :-1].abs() ** 2
        logs = mel.clamp(min=1e-10).log10()
        return (torch.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0


def stack_frames(frames: torch.Tensor, count: int) -> torch.Tensor:
    """Join neighbouring frames: (B, T, E) to (B, ceil(T / count), count * E).

    The last ones are filled up with zeros.

    Example:
        >>> stack_frames(torch.tensor([[[1], [2], [3]]]), 2).tolist()
        [[[1, 2], [3, 0]]]
    """
    batch, length, size = frames.shape
    padded = torch.nn.functional.pad(frames, (0, 0, 0, -length % count))
    return padded.reshape(batch, -1, count * size)
