"""What a recogniser reads of a data directory: speech, or features dumped from it."""

from pathlib import Path
from typing import Dict, NamedTuple, Optional

import numpy as np
import soundfile

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError


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
