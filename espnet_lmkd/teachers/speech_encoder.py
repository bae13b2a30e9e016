"""A frozen pretrained speech encoder whose outputs are a small student's features."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    WhisperFeatureExtractor,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.pretrained import choose_device

SAMPLE_RATE = 16000
WHISPER_SECONDS = 30
WHISPER_HOP = 320  # samples a frame
FAMILIES = ("hubert", "wav2vec2", "wavlm", "whisper")


class FrozenSpeechEncoder:
    """HuBERT, wav2vec 2.0, WavLM or Whisper encoder, one utterance at a time.

    One at a time, because convolutions and group norms of these encoders see padding.
    Whisper sees exactly 30 s: shorter speech is padded and its frames cut off again,
    longer speech is encoded in equal parts of at most 30 s.

    Args:
        source: Folder, or id on the Hugging Face hub.
        revision: Branch, tag or commit on the hub.
        dtype: ``float32``, or ``bfloat16`` where the hardware is fast with it.
        stack: Number of neighbouring frames joined to one, at a lower frame rate.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: If there is no such model, or it is of another family.
    """

    def __init__(self, source, revision=None, dtype="float32", stack=1, device="auto"):
        self.device, self.dtype, self.stack = choose_device(device), dtype, stack
        safely = {"trust_remote_code": False, "revision": revision}
        try:
            config = AutoConfig.from_pretrained(source, **safely)
            if config.model_type not in FAMILIES:
                raise InputError(
                    f"speech encoder {source!r} is a {config.model_type}; one of"
                    f" {', '.join(FAMILIES)} was wanted"
                )
            self.is_whisper = config.model_type == "whisper"
            kinds = (AutoModel, AutoFeatureExtractor)
            conf = dict(safely)
            if self.is_whisper:
                kinds = (WhisperEncoder, WhisperFeatureExtractor)
                conf["key_mapping"] = {r"^(model\.)?encoder\.": ""}
            self.model, info = kinds[0].from_pretrained(
                source,
                dtype=getattr(torch, dtype),
                weights_only=True,
                output_loading_info=True,
                **conf,
            )
            self.extractor = kinds[1].from_pretrained(source, **safely)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split()).split(". ")[0]
            raise InputError(
                f"speech encoder {source!r} is neither a folder nor an id that the"
                f" Hugging Face hub gives ({reason})"
            ) from error
        # Masking vectors are for pretraining; anything else would be random.
        missing = [x for x in info["missing_keys"] if "masked_spec_embed" not in x]
        if missing:
            raise InputError(
                f"speech encoder {source!r} lacks the weights {missing[0]}"
            )
        self.model.to(self.device).eval()
        self.record = {
            "source": str(source),
            "commit": getattr(config, "_commit_hash", None),
            "dtype": dtype,
            "stack": stack,
            "size": config.hidden_size * stack,
        }

    def __call__(self, speech) -> np.ndarray:
        """Encode (N,) float32 samples at 16 kHz as (ceil(T / stack), stack * E)."""
        parts = [speech]
        if self.is_whisper:
            count = -(-len(speech) // (WHISPER_SECONDS * SAMPLE_RATE))
            parts = np.array_split(speech, max(count, 1))
        frames = np.concatenate([self._encode(part) for part in parts])
        return stack_frames(frames, self.stack)

    @torch.inference_mode()
    def _encode(self, speech):
        inputs = self.extractor(speech, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        name = self.extractor.model_input_names[0]
        inputs = inputs[name].to(self.device, getattr(torch, self.dtype))
        states = self.model(inputs).last_hidden_state[0]
        if self.is_whisper:
            states = states[: -(-len(speech) // WHISPER_HOP)]
        return states.float().cpu().numpy()


def stack_frames(frames, count) -> np.ndarray:
    """Join neighbouring frames: (T, E) to (ceil(T / count), count * E), zero padded.

    Example:
        >>> stack_frames(np.array([[1], [2], [3]]), 2).tolist()
        [[1, 2], [3, 0]]
    """
    padded = np.pad(frames, ((0, -len(frames) % count), (0, 0)))
    return padded.reshape(-1, count * frames.shape[1])


def check_record(folder, record) -> None:
    """Write what made the features, or refuse a folder that others made.

    Raises:
        InputError: If the folder holds features of another encoder or another stack.
    """
    path = Path(folder, "speech_encoder.json")
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != record:
        raise InputError(
            f"{folder} holds features made otherwise ({path.name}); remove it or give"
            " another --out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
