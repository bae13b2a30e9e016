"""Frozen speech encoders and their dumped outputs, on tiny models made from configs."""

import json

import numpy as np
import pytest
import soundfile
import torch
import transformers
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from espnet_lmkd.asr.pretrained_speech import PretrainedSpeech, stack_frames
from espnet_lmkd.bin.dump_features import encode, main
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError

SMALL = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    conv_dim=[8] * 7,
    num_conv_pos_embeddings=4,
    num_conv_pos_embedding_groups=2,
)
WHISPER = dict(
    d_model=16,
    encoder_layers=1,
    encoder_attention_heads=2,
    encoder_ffn_dim=16,
    decoder_layers=1,
    decoder_attention_heads=2,
    decoder_ffn_dim=16,
    vocab_size=20,
    pad_token_id=1,
    bos_token_id=1,
    eos_token_id=1,
    decoder_start_token_id=1,
)


def save(family, folder):
    """Write a random model of a family and return what is to be its judge."""
    torch.manual_seed(0)
    if family == "whisper":
        config = transformers.WhisperConfig(**WHISPER)
        model = transformers.WhisperModel(config)
        transformers.WhisperFeatureExtractor().save_pretrained(folder)
    else:
        config = transformers.AutoConfig.for_model(family, **SMALL)
        model = transformers.AutoModel.from_config(config)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    model.save_pretrained(folder)
    return model.eval()


def noise(seconds):
    generator = np.random.default_rng(0)
    return generator.normal(0, 0.1, int(16000 * seconds)).astype(np.float32)


def frames_of(folder, speech, stack=1):
    encoder = PretrainedSpeech.from_pretrained(folder).eval()
    return encode(encoder, speech, stack, "cpu")


@pytest.mark.parametrize("family", ["hubert", "wav2vec2", "wavlm"])
def test_waveform_encoders_equal_transformers(family, tmp_path):
    model, speech = save(family, tmp_path), noise(0.5)
    frames = frames_of(tmp_path, speech)
    normalized = (speech - speech.mean()) / np.sqrt(speech.var() + 1e-7)
    with torch.no_grad():
        expected = model(torch.from_numpy(normalized)[None]).last_hidden_state[0]
    assert frames.shape == (24, 16)  # the convolutions lose half a frame at each end
    np.testing.assert_allclose(frames, expected.numpy(), atol=2e-3)


@pytest.mark.parametrize("seconds, frames", [(0.5, 25), (0.501, 26), (31, 1550)])
def test_whisper_gives_fifty_frames_a_second(seconds, frames, tmp_path):
    model, speech = save("whisper", tmp_path), noise(seconds)
    found = frames_of(tmp_path, speech)
    assert found.shape == (frames, 16)
    features = transformers.WhisperFeatureExtractor()(
        speech[: len(speech) // 2] if seconds > 30 else speech,
        sampling_rate=16000,
        return_tensors="pt",
    )["input_features"]
    with torch.no_grad():
        expected = model.encoder(features).last_hidden_state[0].numpy()
    count = 775 if seconds > 30 else frames
    np.testing.assert_allclose(found[:count], expected[:count], atol=2e-3)


@pytest.mark.parametrize("loudness, mixed", [(1, False), (1, True), (1e-3, True)])
def test_log_mel_is_whispers(loudness, mixed, tmp_path):
    save("whisper", tmp_path)
    encoder = PretrainedSpeech.from_pretrained(tmp_path)
    speech = loudness * noise(0.7)
    expected = transformers.WhisperFeatureExtractor()(speech, sampling_rate=16000)
    with torch.autocast("cpu", torch.float16, enabled=mixed):
        found = encoder.log_mel(torch.from_numpy(speech))
    np.testing.assert_allclose(found, expected["input_features"][0], atol=1e-3)


def test_whisper_hears_long_speech_in_equal_parts(tmp_path):
    """As many as are needed; alone, in a batch, dumped, and in an ESPnet encoder."""
    from espnet_lmkd.asr.speech_encoder import SpeechEncoder

    model, speech = save("whisper", tmp_path), noise(60.5)
    found = frames_of(tmp_path, speech)
    parts = np.array_split(speech, 3)
    extract = transformers.WhisperFeatureExtractor()
    features = [extract(part, sampling_rate=16000)["input_features"] for part in parts]
    with torch.no_grad():
        states = model.encoder(torch.tensor(np.concatenate(features)))[0]
    expected = states[:, :1009].flatten(0, 1).numpy()  # ceil(60.5 s / 3 / 20 ms)
    assert found.shape == expected.shape == (3 * 1009, 16)
    np.testing.assert_allclose(found, expected, atol=2e-3)

    waves = [torch.from_numpy(x) for x in (noise(0.3), speech)]
    padded = torch.nn.utils.rnn.pad_sequence(waves, True)
    encoder = SpeechEncoder(model=str(tmp_path), freeze="none").eval()
    lengths = torch.tensor([len(w) for w in waves])
    with torch.no_grad():
        frames, lengths, _ = encoder(padded, lengths)
    assert lengths.tolist() == [15, len(found)] and frames.shape[1] == len(found)
    np.testing.assert_allclose(frames[1], found, atol=2e-3)
    with pytest.raises(InputError, match="60.5 s came, to train .* 30 s are wanted"):
        encoder.train()(padded, torch.tensor([4800, len(speech)]))


@pytest.mark.parametrize("family", ["hubert", "wav2vec2", "wavlm", "whisper"])
def test_a_batch_is_its_utterances(family, tmp_path):
    save(family, tmp_path)
    encoder = PretrainedSpeech.from_pretrained(tmp_path).eval()
    waves = [torch.from_numpy(noise(seconds)) for seconds in (0.5, 0.3)]
    padded = torch.nn.utils.rnn.pad_sequence(waves, True, padding_value=3.0)
    with torch.no_grad():
        layers, lengths = encoder(padded, torch.tensor([len(w) for w in waves]))
        assert len(layers) == encoder.num_layers + 1
        for index, wave in enumerate(waves):
            alone, length = encoder(wave[None], torch.tensor([len(wave)]))
            assert lengths[index] == length == alone[0].shape[1]
            for one, other in zip(alone, layers):
                torch.testing.assert_close(
                    one[0], other[index, :length], atol=1e-5, rtol=1e-4
                )


def test_whisper_saved_as_an_encoder_alone(tmp_path):
    whole, alone = tmp_path / "whole", tmp_path / "alone"
    save("whisper", whole)
    WhisperEncoder.from_pretrained(
        whole, key_mapping={r"^encoder\.": ""}
    ).save_pretrained(alone)
    transformers.WhisperFeatureExtractor().save_pretrained(alone)
    speech = noise(0.3)
    np.testing.assert_array_equal(*(frames_of(x, speech) for x in (whole, alone)))


def test_stacking_keeps_every_value():
    frames = torch.randn(2, 24, 16)
    stacked = stack_frames(frames, 5)
    assert stacked.shape == (2, 5, 80)
    assert stacked.reshape(2, -1, 16)[:, :24].equal(frames)
    assert not stacked.reshape(2, -1, 16)[:, 24:].any()


def test_refuses_what_is_no_speech_encoder(tmp_path):
    with pytest.raises(InputError, match="neither a folder nor an id"):
        PretrainedSpeech.from_pretrained(tmp_path / "none")
    config = transformers.AutoConfig.for_model("bert")
    config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a bert; one of hubert"):
        PretrainedSpeech.from_pretrained(tmp_path)


def test_refuses_a_checkpoint_that_lacks_weights(tmp_path):
    model = save("hubert", tmp_path)
    weights = model.state_dict()
    del weights["encoder.layers.0.attention.k_proj.weight"]
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(InputError, match="lacks the weights encoder.layers.0"):
        PretrainedSpeech.from_pretrained(tmp_path)


@pytest.fixture
def data_dir(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in (1, 2):
        soundfile.write(tmp_path / f"a-{number}.wav", noise(0.2 * number), 16000)
    wavs = "".join(f"a-{n} {tmp_path}/a-{n}.wav\n" for n in (1, 2))
    (data / "wav.scp").write_text(wavs)
    (data / "text").write_text("a-1 ONE\na-2 TWO\n")
    (data / "utt2spk").write_text("a-1 a\na-2 a\n")
    return data


def test_dump_resumes_and_is_read_back(data_dir, tmp_path, capsys):
    from espnet_lmkd.asr.inputs import read_input, read_inputs

    save("hubert", tmp_path / "model")
    out = tmp_path / "out"
    command = ["--data_dir", str(data_dir), "--out", str(out), "--device", "cpu"]
    command += ["--encoder", str(tmp_path / "model"), "--stack", "2"]
    main(command)
    assert "2 utterances, 32 values a frame" in capsys.readouterr().out
    inputs = read_inputs(out)
    for utterance, path in inputs.files.items():
        speech, _ = soundfile.read(read_table(data_dir / "wav.scp")[utterance])
        expected = frames_of(tmp_path / "model", speech.astype(np.float32), stack=2)
        found = read_input(path, 16000)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert inputs.seconds == {"a-1": 0.2, "a-2": 0.4}
    assert list(read_inputs(out, num_utts=1).files) == ["a-1"]

    kept, lost = (out / "features" / f"a-{n}.npy" for n in (1, 2))
    before = kept.stat().st_mtime_ns
    lost.unlink()
    main(command)
    assert lost.is_file() and kept.stat().st_mtime_ns == before


def test_dump_refuses_to_mix_encoders(data_dir, tmp_path, capsys):
    save("hubert", tmp_path / "model")
    out = tmp_path / "out"
    command = ["--data_dir", str(data_dir), "--out", str(out), "--device", "cpu"]
    command += ["--encoder", str(tmp_path / "model")]
    main(command)
    with pytest.raises(SystemExit):
        main(command + ["--stack", "2"])
    assert "holds features made otherwise" in capsys.readouterr().err
    assert json.loads((out / "speech_encoder.json").read_text())["stack"] == 1


def test_dump_wants_sixteen_kilohertz(data_dir, tmp_path, capsys):
    save("hubert", tmp_path / "model")
    soundfile.write(tmp_path / "a-2.wav", noise(0.2), 8000)
    with pytest.raises(SystemExit):
        main(
            ["--data_dir", str(data_dir), "--out", str(tmp_path / "out")]
            + ["--encoder", str(tmp_path / "model")]
        )
    assert "'a-2'" in capsys.readouterr().err
