"""Speed perturbation: copies of the training audio played slower and faster."""

import re
from fractions import Fraction
from math import ceil
from pathlib import Path

from scipy.signal import resample_poly

from espnet_lmkd.data.audio import (
    in_parallel,
    is_complete,
    open_audio,
    read_mono,
    write_flac,
)
from espnet_lmkd.data.directory import validate, write_directory
from espnet_lmkd.errors import InputError


def change_speed(samples, factor):
    """Play samples `factor` times as fast, so pitch and tempo both change.

    y(t) = x(factor * t)

    Args:
        samples: (N,) float.
        factor: Speed as a decimal string, a Fraction or an int, > 0.

    Returns:
        np.ndarray: (ceil(N / factor),) samples at the same rate.

    Example:
        >>> import numpy as np
        >>> change_speed(np.zeros(900), "0.9").shape
        (1000,)
    """
    factor = Fraction(factor)
    return resample_poly(samples, factor.denominator, factor.numerator)


def perturb_utterance(job):
    """Write one utterance at another speed unless an earlier run has done so.

    Args:
        job: (utterance, source path, flac path, factor as a decimal string).
    """
    utterance, source, flac, factor = job
    with open_audio(utterance, source) as audio:
        num_samples = ceil(audio.frames / Fraction(factor))
        fs = audio.samplerate
    if not is_complete(flac, source, num_samples, fs):
        samples, fs = read_mono(utterance, source)
        write_flac(flac, change_speed(samples, factor), fs)


def perturb_directory(data_dir, out, factors=("0.9", "1.1"), nj=1):
    """Write a data directory with the original utterances and copies at other speeds.

    A copy's utterance and speaker are called "sp<factor>-<original>".

    Args:
        data_dir: Directory with wav.scp, text and utt2spk.
        out: Directory to write; the new audio goes to `out`/audio.
        factors: Speeds as decimal strings such as "0.9".
        nj: Number of processes.

    Returns:
        int: Number of utterances in `out`.

    Raises:
        InputError: An invalid data directory, unreadable audio, a factor outside 0.5-2.
    """
    for factor in factors:
        number = re.fullmatch(r"\d+\.\d+", factor)
        if number is None or not Fraction(1, 2) <= Fraction(factor) <= 2:
            raise InputError(f"--factors: speeds such as 0.9, 0.5 to 2, not '{factor}'")
    tables = validate(data_dir)
    audio = Path(out) / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    perturbed = {name: dict(table) for name, table in tables.items()}
    jobs = []
    for factor in factors:
        if Fraction(factor) == 1:  # the original, which is kept anyway
            continue
        for utterance, source in tables["wav.scp"].items():
            copy = f"sp{factor}-{utterance}"
            flac = str(audio / f"{copy}.flac")
            jobs.append((utterance, source, flac, factor))
            perturbed["wav.scp"][copy] = flac
            perturbed["text"][copy] = tables["text"][utterance]
            perturbed["utt2spk"][copy] = f"sp{factor}-{tables['utt2spk'][utterance]}"
    in_parallel(perturb_utterance, jobs, nj, str(out))
    write_directory(out, perturbed)
    return len(perturbed["wav.scp"])
