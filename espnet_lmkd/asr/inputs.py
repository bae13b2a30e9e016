"""What a recogniser reads of a data directory: speech, or features dumped from it."""

from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

import numpy as np
import soundfile
from humanfriendly import parse_size

from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError

SHORTEST = 0.03  # seconds; the padding of a short-time Fourier transform needs this


class Inputs(NamedTuple):
    """The files of a data directory.

    Args:
        files: utterance -> `.npy` of (T, E) features where the directory has
            `feats.scp`, else an audio file.
        seconds: utterance -> its length, for features only.
    """

    files: Dict[str, str]
    seconds: Dict[str, float]


def read_inputs(data_dir, num_utts: Optional[int] = None) -> Inputs:
    """List the inputs of a data directory, or `num_utts` of them, evenly spread."""
    data_dir, seconds = Path(data_dir), {}
    if (data_dir / "feats.scp").is_file():
        files = read_table(data_dir / "feats.scp")
        seconds = {u: float(s) for u, s in read_table(data_dir / "utt2dur").items()}
    else:
        files = read_table(data_dir / "wav.scp")
    if num_utts is not None and num_utts < len(files):
        utterances = list(files)
        chosen = [utterances[i * len(files) // num_utts] for i in range(num_utts)]
        files = {utterance: files[utterance] for utterance in chosen}
        seconds = {utterance: seconds[utterance] for utterance in chosen if seconds}
    return Inputs(files, seconds)


def read_input(path, sample_rate: int) -> np.ndarray:
    """Return (T, E) features, or (N,) samples of mono audio at the student's rate."""
    if Path(path).suffix == ".npy":
        return np.load(path).astype(np.float32)
    speech, rate = soundfile.read(path, dtype="float32")
    if speech.ndim != 1 or rate != sample_rate:
        raise InputError(
            f"{path}: mono at {sample_rate} Hz was wanted, got shape {speech.shape} at "
            f"{rate} Hz; convert it (stage 3)"
        )
    return speech


class Hearing(NamedTuple):
    """What a model was trained to hear.

    Args:
        sample_rate: of its speech.
        size: E of its (T, E) features; None for speech.
    """

    sample_rate: int
    size: Optional[int]

    @classmethod
    def of(cls, config: Dict[str, Any]) -> "Hearing":
        """Read it in the configuration of a training."""
        rate = (config.get("frontend_conf") or {}).get("fs", 16000)
        size = config.get("input_size") or 1  # 1: an encoder of raw speech
        return cls(parse_size(str(rate)), size if size > 1 else None)

    def read(self, utterance: str, path) -> np.ndarray:
        """Read an utterance; one of another kind is an error that names it."""
        speech = read_input(path, self.sample_rate)
        self.check_kind(speech, f"utterance {utterance!r}: ")
        return speech

    def check(self, speech) -> None:
        """Refuse (N,) samples or (T, E) features that the model cannot encode.

        Raises:
            InputError: they are not what it was trained on.
            TooShortUttError: samples too few to transform at all, or no frame.
        """
        self.check_kind(speech)
        shortest = int(SHORTEST * self.sample_rate) if self.size is None else 1
        if len(speech) < shortest:
            raise TooShortUttError("too short to transform", len(speech), shortest)

    def check_kind(self, speech, whose: str = "") -> None:
        """Refuse speech for features, features for speech and others; see `check`."""
        size = speech.shape[1] if speech.ndim == 2 else None
        if size != self.size:
            came, wanted = (
                f"features of {width} values" if width else "speech"
                for width in (size, self.size)
            )
            raise InputError(
                f"{whose}the model was trained on {wanted}, but {came} came; give it"
                " the data directories of its training"
            )
