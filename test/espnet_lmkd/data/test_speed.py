from math import ceil

import numpy as np
import pytest
import soundfile
from scipy.signal import resample

from espnet_lmkd.data.directory import read_table, validate
from espnet_lmkd.data.speed import change_speed, perturb_directory
from espnet_lmkd.errors import InputError


@pytest.mark.parametrize("factor", ["0.9", "1.1", "1.0", "1.05", "2"])
@pytest.mark.parametrize("length", [1, 999, 16000])
def test_length_is_divided_by_the_factor(factor, length):
    new = change_speed(np.ones(length, dtype="float32"), factor)
    assert len(new) == ceil(length * 100 / round(float(factor) * 100))
    assert new.dtype == np.float32


@pytest.mark.parametrize("factor", ["0.9", "1.1"])
def test_pitch_and_tempo_follow_the_factor(factor):
    number = 19800  # 9 and 11 divide it, so the Fourier reference has the exact speed
    tone = np.sin(2 * np.pi * 1000 * np.arange(number) / 16000) * np.hanning(number)
    fast = change_speed(tone, factor)
    peak = np.argmax(np.abs(np.fft.rfft(fast))) * 16000 / len(fast)
    assert abs(peak - 1000 * float(factor)) < 2
    np.testing.assert_allclose(fast, resample(tone, len(fast)), atol=2e-3)
    envelope_peak = np.argmax(np.convolve(np.abs(fast), np.ones(99), "same"))
    assert abs(envelope_peak - len(fast) / 2) < 100


def test_the_directory_holds_originals_and_prefixed_copies(data_dir, tmp_path):
    number = perturb_directory(data_dir, tmp_path / "train_sp", ["0.9", "1.1"])
    new, old = validate(tmp_path / "train_sp"), validate(data_dir)
    assert number == len(new["text"]) == 3 * len(old["text"])
    for utterance in old["text"]:
        assert new["wav.scp"][utterance] == old["wav.scp"][utterance]
        for factor, length in (("0.9", 8889), ("1.1", 7273)):
            copy = f"sp{factor}-{utterance}"
            assert new["text"][copy] == old["text"][utterance]
            assert new["utt2spk"][copy] == f"sp{factor}-{old['utt2spk'][utterance]}"
            info = soundfile.info(new["wav.scp"][copy])
            assert (info.frames, info.samplerate) == (length, 16000)
            assert info.subtype == "PCM_16"
    speakers = read_table(tmp_path / "train_sp" / "spk2utt")
    assert speakers["sp1.1-a"] == "sp1.1-a-1 sp1.1-a-2"


def test_a_second_run_and_more_processes_change_nothing(data_dir, tmp_path):
    perturb_directory(data_dir, tmp_path / "sp", ["0.9"])
    audio = sorted((tmp_path / "sp" / "audio").iterdir())
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in audio]
    perturb_directory(data_dir, tmp_path / "sp", ["0.9"], nj=2)
    after = [(path.stat().st_mtime_ns, path.read_bytes()) for path in audio]
    assert before == after


@pytest.mark.parametrize("factor", ["fast", "0", "-1", "9", "nan", "9/10"])
def test_an_impossible_speed_is_refused(data_dir, tmp_path, factor):
    with pytest.raises(InputError, match=f"--factors: .* not '{factor}'"):
        perturb_directory(data_dir, tmp_path / "sp", [factor])
