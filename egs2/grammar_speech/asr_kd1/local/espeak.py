"""Speech from espeak-ng, whose library and data the wheel espeakng-loader brings."""

import ctypes

import numpy as np

from espnet_lmkd.data.audio import resample
from espnet_lmkd.errors import InputError

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: espeak_Synth returns when all samples are there
UTF8 = 1
RATE, PITCH = 1, 3  # espeak_PARAMETER

CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The synthesiser; its state is that of the process, so one object a process.

    What it says depends a little on what it said before: for the same samples, say
    the same things in the same order in a new process. Breathy voices (f2, f3, f5)
    draw noise seeded by the clock and never repeat.

    Raises:
        InputError: The wheel is not installed or does not work here.
    """

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError as error:
            raise InputError(
                "espeak-ng is needed to speak the sentences; run:"
                " pip install espeakng-loader"
            ) from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.fs = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        if self.fs <= 0:
            raise InputError(
                f"espeak-ng cannot start with {data.decode()}; run:"
                " pip install --force-reinstall espeakng-loader"
            )
        self._chunks = []
        self._callback = CALLBACK(self._keep)  # held here, or it is collected
        self._library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples, number, events):
        if number > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (number,)).copy())
        return 0

    def say(self, text, voice, rate, pitch, fs=16000):
        """Speak a sentence.

        Args:
            text: Words.
            voice: Such as "en-us+f3": an accent and a variant.
            rate: Words a minute, 80 to 450.
            pitch: 0 to 100.
            fs: Sampling rate wanted, in Hz.

        Returns:
            np.ndarray: (N,) float32 in [-1, 1].

        Raises:
            InputError: No such voice.
        """
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise InputError(f"espeak-ng has no voice '{voice}'; see data.py's VOICES")
        library.espeak_SetParameter(RATE, int(rate), 0)
        library.espeak_SetParameter(PITCH, int(pitch), 0)
        self._chunks.clear()
        utf8 = text.encode() + b"\0"
        library.espeak_Synth(utf8, len(utf8), 0, 1, 0, UTF8, None, None)
        samples = np.concatenate(self._chunks).astype(np.float32) / 32768
        return resample(samples, self.fs, fs)
