"""Noise for clean speech: white, pink, or a babble of other voices."""

import numpy as np


def white(rng, number):
    """Draw (number,) samples of equal power at all frequencies."""
    return rng.standard_normal(number).astype(np.float32)


def pink(rng, number):
    """Draw (number,) samples whose power falls with 1/f."""
    power_of_two = 1 << (number - 1).bit_length()  # other lengths make a slow FFT
    spectrum = np.fft.rfft(rng.standard_normal(power_of_two))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.fft.irfft(spectrum)[:number].astype(np.float32)


def babble(voices, number):
    """Add several utterances, each repeated to (number,) samples."""
    return sum(np.resize(voice, number) for voice in voices)


def add_noise(speech, noise, snr):
    """Add noise at a signal-to-noise ratio.

    y = x + n * sqrt(P_x / (P_n * 10^(snr/10)))

    Args:
        speech: (N,) samples.
        noise: (N,) samples.
        snr: Ratio of the two powers in dB.

    Returns:
        np.ndarray: (N,) samples.
    """
    ratio = np.mean(speech**2) / np.mean(noise**2)
    return speech + noise * np.sqrt(ratio / 10 ** (snr / 10))
