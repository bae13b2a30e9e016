import os

import numpy as np
import pytest
import soundfile

from espnet_lmkd.data.audio import format_directory, resample, write_flac
from espnet_lmkd.data.directory import read_table, validate, write_directory
from espnet_lmkd.errors import InputError


def tone(hertz, fs, seconds=1.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(fs * seconds)) / fs)


def loudest_frequency(samples, fs):
    return np.argmax(np.abs(np.fft.rfft(samples))) * fs / len(samples)


def one_utterance(folder, path):
    tables = {"wav.scp": {"u": str(path)}, "text": {"u": "X"}, "utt2spk": {"u": "s"}}
    write_directory(folder, tables)
    return folder


CONTAINERS = {
    "wav": ("WAV", "PCM_16", 44100),
    "wav24": ("WAV", "PCM_24", 8000),
    "flac": ("FLAC", "PCM_16", 22050),
    "sph": ("NIST", "PCM_16", 16000),
    "ogg": ("OGG", "VORBIS", 44100),
    "opus": ("OGG", "OPUS", 48000),
}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_becomes_16_khz_flac(tmp_path, suffix):
    container, subtype, fs = CONTAINERS[suffix]
    source = tmp_path / f"u.{suffix}"
    soundfile.write(source, tone(440, fs), fs, format=container, subtype=subtype)
    format_directory(one_utterance(tmp_path / "in", source), tmp_path / "out")
    info = soundfile.info(tmp_path / "out" / "audio" / "u.flac")
    assert (info.format, info.subtype) == ("FLAC", "PCM_16")
    assert (info.samplerate, info.channels) == (16000, 1)
    samples, _ = soundfile.read(tmp_path / "out" / "audio" / "u.flac")
    assert read_table(tmp_path / "out" / "utt2num_samples") == {"u": str(len(samples))}
    assert abs(len(samples) - 16000) <= 1
    assert abs(loudest_frequency(samples, 16000) - 440) < 2
    assert abs(np.sqrt(np.mean(samples**2)) - 0.5 / np.sqrt(2)) < 0.02
    assert (tmp_path / "out" / "feats_type").read_text() == "raw\n"


def test_16_bit_audio_at_the_right_rate_stays_exactly_as_it_is(data_dir, tmp_path):
    format_directory(data_dir, tmp_path / "out")
    new = validate(tmp_path / "out")
    for utterance, wav in validate(data_dir)["wav.scp"].items():
        expected, _ = soundfile.read(wav, dtype="int16")
        found, _ = soundfile.read(new["wav.scp"][utterance], dtype="int16")
        np.testing.assert_array_equal(found, expected)
    assert new["text"] == validate(data_dir)["text"]
    assert read_table(tmp_path / "out" / "spk2utt")["a"] == "a-1 a-2"


def test_resampling_agrees_with_the_fourier_interpolation_inside(tmp_path):
    from scipy.signal import resample as fourier_resample

    x = tone(300, 22050) * np.hanning(22050)
    expected = fourier_resample(x, 16000)
    np.testing.assert_allclose(resample(x, 22050, 16000), expected, atol=2e-3)


def test_the_first_channel_is_taken_with_a_warning(tmp_path, caplog):
    stereo = np.stack([tone(440, 16000), tone(880, 16000)], axis=1)
    soundfile.write(tmp_path / "u.wav", stereo, 16000)
    format_directory(one_utterance(tmp_path / "in", tmp_path / "u.wav"), tmp_path / "o")
    samples, _ = soundfile.read(tmp_path / "o" / "audio" / "u.flac")
    assert abs(loudest_frequency(samples, 16000) - 440) < 2
    assert "utterance 'u'" in caplog.text and "2 channels" in caplog.text


def test_too_short_and_too_long_are_dropped_and_listed(data_dir, tmp_path):
    wavs = read_table(data_dir / "wav.scp")
    soundfile.write(wavs["a-1"], np.zeros(1000), 16000)
    soundfile.write(wavs["c-1"], np.zeros(48000), 16000)
    dropped = format_directory(data_dir, tmp_path / "out", max_seconds=2)
    assert sorted(dropped) == ["a-1", "c-1"]
    assert read_table(tmp_path / "out" / "dropped") == {
        "a-1": "too_short 0.062 s",
        "c-1": "too_long 3.000 s",
    }
    assert list(validate(tmp_path / "out")["text"]) == ["a-2", "b-1"]
    with pytest.raises(InputError, match="none of its 4 utterances lasts 5 to 9 s"):
        format_directory(data_dir, tmp_path / "none", min_seconds=5, max_seconds=9)


def test_a_killed_run_is_continued(data_dir, tmp_path):
    out = tmp_path / "out"
    format_directory(data_dir, out)
    audio = out / "audio"
    expected = {path.name: path.read_bytes() for path in audio.iterdir()}
    kept = (audio / "a-1.flac").stat().st_mtime_ns
    (audio / "a-2.flac").unlink()
    (audio / "a-2.flac.tmp").write_bytes(b"half written")
    os.truncate(audio / "b-1.flac", 100)
    write_flac(audio / "c-1.flac", np.zeros(77), 16000)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(audio / "a-2.flac.tmp")
    (audio / "b-1.flac").unlink()
    format_directory(data_dir, out)
    assert {path.name: path.read_bytes() for path in audio.iterdir()} == expected
    assert (audio / "a-1.flac").stat().st_mtime_ns == kept


def test_changed_audio_is_written_again(data_dir, tmp_path):
    format_directory(data_dir, tmp_path / "out")
    wav = read_table(data_dir / "wav.scp")["a-1"]
    flac = tmp_path / "out" / "audio" / "a-1.flac"
    soundfile.write(wav, np.zeros(8000), 16000)
    later = flac.stat().st_mtime + 5
    os.utime(wav, (later, later))
    format_directory(data_dir, tmp_path / "out")
    assert not soundfile.read(flac)[0].any()


def test_more_processes_write_the_same(data_dir, tmp_path):
    format_directory(data_dir, tmp_path / "one", nj=1)
    format_directory(data_dir, tmp_path / "two", nj=2)
    for utterance in validate(data_dir)["text"]:
        one, two = (
            tmp_path / n / "audio" / f"{utterance}.flac" for n in ("one", "two")
        )
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("nj", [1, 2])
def test_a_file_that_is_no_audio_is_named(data_dir, tmp_path, nj):
    wav = read_table(data_dir / "wav.scp")["b-1"]
    with open(wav, "w", encoding="utf-8") as out:
        out.write("no audio")
    with pytest.raises(InputError, match=f"'b-1': {wav} cannot be read as audio"):
        format_directory(data_dir, tmp_path / "out", nj=nj)


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    write_flac(tmp_path / "x.flac", np.array([1.5, -1.5, 0.25]), 16000)
    pcm, _ = soundfile.read(tmp_path / "x.flac", dtype="int16")
    assert pcm.tolist() == [32767, -32768, 8192]


def test_the_same_audio_keeps_its_time(tmp_path):
    path, samples = tmp_path / "x.flac", np.array([0.5, -0.25])
    write_flac(path, samples, 16000)
    os.utime(path, (1000, 1000))
    write_flac(path, samples, 16000)
    assert path.stat().st_mtime == 1000 and not list(tmp_path.glob("*.tmp"))
    write_flac(path, -samples, 16000)
    assert path.stat().st_mtime > 1000 and soundfile.read(path)[0][0] == -0.5


def test_unlabelled_audio_needs_no_text(data_dir, tmp_path):
    (data_dir / "text").unlink()
    format_directory(data_dir, tmp_path / "out")
    tables = validate(tmp_path / "out", ("wav.scp", "utt2spk"))
    assert len(tables["wav.scp"]) == 4 and not (tmp_path / "out" / "text").exists()
    (data_dir / "utt2spk").unlink()
    with pytest.raises(InputError, match="utt2spk: a table was wanted"):
        format_directory(data_dir, tmp_path / "out")
