"""A small data directory with real audio files."""

import numpy as np
import pytest
import soundfile

from espnet_lmkd.data.directory import write_directory

WORDS = {
    "a-1": "THE SEA",
    "a-2": "A SALE BY THE SEA",
    "b-1": "THEIR SAIL",
    "c-1": "TO SEE TWO SEAS",
}


@pytest.fixture
def data_dir(tmp_path):
    """Four utterances of three speakers, 0.5 s of 16-bit noise at 16 kHz each."""
    rng = np.random.default_rng(0)
    wavs = {}
    for utterance in WORDS:
        wavs[utterance] = str(tmp_path / "wav" / f"{utterance}.wav")
        (tmp_path / "wav").mkdir(exist_ok=True)
        pcm = rng.integers(-32768, 32768, 8000).astype(np.int16)
        soundfile.write(wavs[utterance], pcm, 16000, subtype="PCM_16")
    speakers = {utterance: utterance[0] for utterance in WORDS}
    tables = {"wav.scp": wavs, "text": WORDS, "utt2spk": speakers}
    write_directory(tmp_path / "train", tables)
    return tmp_path / "train"
