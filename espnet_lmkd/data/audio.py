"""Audio of any kind to 16-bit mono flac, utterance by utterance."""

import filecmp
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from math import ceil, gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly
from tqdm import tqdm

from espnet_lmkd.data.directory import read_directory, write_directory, write_lines
from espnet_lmkd.errors import InputError

logger = logging.getLogger(__name__)


def open_audio(utterance, path):
    """Open an audio file, telling a file that is no audio by utterance and path.

    Args:
        utterance: Its id, for messages.
        path: Any container that soundfile reads (.flac .wav .sph .opus .ogg ...).

    Returns:
        soundfile.SoundFile: Open for reading.
    """
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"utterance '{utterance}': {path} cannot be read as audio ({error});"
            " restore the file or convert it to wav or flac"
        ) from error


def read_mono(utterance, path):
    """Read the first channel of an audio file, with a warning where there are more.

    Args:
        utterance: Its id, for messages.
        path: Any container that soundfile reads.

    Returns:
        (np.ndarray, int): (N,) float32 samples in [-1, 1] and the sampling rate in Hz.
    """
    with open_audio(utterance, path) as audio:
        samples = audio.read(dtype="float32", always_2d=True)
        if samples.shape[1] > 1:
            logger.warning(
                "utterance '%s': %s has %d channels, the first one is used",
                utterance,
                path,
                samples.shape[1],
            )
        return samples[:, 0], audio.samplerate


def resample(samples, from_hz, to_hz):
    """Resample (N,) samples to ceil(N * to_hz / from_hz) of them.

    Example:
        >>> resample(np.zeros(441, dtype="float32"), 44100, 16000).shape
        (160,)
    """
    if from_hz == to_hz:
        return samples
    common = gcd(from_hz, to_hz)
    return resample_poly(samples, to_hz // common, from_hz // common)


def write_flac(path, samples, fs):
    """Write float samples as 16-bit flac; the file appears complete or not at all.

    Samples that came from 16-bit audio are written back exactly. A file that holds the
    same already keeps its time: what was made of it need not be made again.

    Args:
        path: The file to write; its folder must exist.
        samples: (N,) in [-1, 1]; anything beyond is clipped.
        fs: Sampling rate in Hz.
    """
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    unfinished = f"{path}.tmp"
    soundfile.write(unfinished, pcm, fs, format="FLAC", subtype="PCM_16")
    if os.path.isfile(path) and filecmp.cmp(unfinished, path, shallow=False):
        os.remove(unfinished)
    else:
        os.replace(unfinished, path)


def is_complete(path, source, num_samples, fs):
    """Tell whether audio is newer than its source and has this length and rate."""
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        return False
    info = soundfile.info(path)
    return info.frames == num_samples and info.samplerate == fs


def in_parallel(function, jobs, nj, title):
    """Map a function over jobs in `nj` processes, in order, with a progress bar.

    Args:
        function: A function of one job, at the top level of its module.
        jobs: A list.
        nj: Number of processes; 1 stays in this one.
        title: Shown beside the progress bar.

    Returns:
        list: The results in the order of the jobs.
    """
    if nj == 1:
        return [function(job) for job in tqdm(jobs, desc=title)]
    with ProcessPoolExecutor(nj) as pool:
        results = pool.map(function, jobs, chunksize=8)
        return list(tqdm(results, desc=title, total=len(jobs)))


def format_utterance(job):
    """Write one utterance as mono flac at a given rate unless too short or too long.

    Args:
        job: (utterance, source path, flac path, fs, min_seconds, max_seconds).

    Returns:
        int or str: Samples written, or why the utterance was dropped.
    """
    utterance, source, flac, fs, min_seconds, max_seconds = job
    with open_audio(utterance, source) as audio:
        seconds = audio.frames / audio.samplerate
        num_samples = ceil(audio.frames * fs / audio.samplerate)
    if seconds < min_seconds:
        return f"too_short {seconds:.3f} s"
    if seconds > max_seconds:
        return f"too_long {seconds:.3f} s"
    if not is_complete(flac, source, num_samples, fs):
        samples, source_hz = read_mono(utterance, source)
        samples = resample(samples, source_hz, fs)
        write_flac(flac, samples, fs)
        num_samples = len(samples)
    return num_samples


def format_directory(data_dir, out, fs=16000, min_seconds=0.1, max_seconds=30.0, nj=1):
    """Write a data directory as mono 16-bit flac, leaving out what is short or long.

    Flac files that an earlier run completed are kept: start a killed run again.
    The utterances left out are listed with their lengths in `out`/dropped.

    Args:
        data_dir: Directory with wav.scp, utt2spk and, if it is labelled, text.
        out: Directory to write: the same tables, spk2utt, utt2num_samples, feats_type
            and audio/.
        fs: Sampling rate of the output in Hz.
        min_seconds: Shorter utterances are dropped.
        max_seconds: Longer utterances are dropped.
        nj: Number of processes.

    Returns:
        dict[str, str]: Dropped utterance to the reason.

    Raises:
        InputError: An invalid data directory, unreadable audio, or nothing left.
    """
    tables = read_directory(data_dir)
    out = Path(out)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    flacs = {utt: str(out / "audio" / f"{utt}.flac") for utt in tables["wav.scp"]}
    jobs = [
        (utt, wav, flacs[utt], fs, min_seconds, max_seconds)
        for utt, wav in tables["wav.scp"].items()
    ]
    results = dict(zip(flacs, in_parallel(format_utterance, jobs, nj, str(out))))
    num_samples = {utt: r for utt, r in results.items() if isinstance(r, int)}
    dropped = {utt: r for utt, r in results.items() if isinstance(r, str)}
    if not num_samples:
        raise InputError(
            f"{data_dir}: none of its {len(jobs)} utterances lasts {min_seconds} to"
            f" {max_seconds} s; change --min_seconds or --max_seconds"
        )
    tables = {**tables, "wav.scp": flacs, "utt2num_samples": num_samples}
    write_directory(out, tables, num_samples)
    write_lines(out / "feats_type", ["raw"])
    write_lines(out / "dropped", (f"{utt} {dropped[utt]}" for utt in dropped))
    return dropped
