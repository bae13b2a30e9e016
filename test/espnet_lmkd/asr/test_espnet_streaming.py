"""ESPnet's own streaming command on transducers, in pieces longer than speech, too."""

import numpy as np
import pytest
import soundfile
from tiny_streaming import make_streaming_student


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with a streaming transducer and speech, the shortest first."""
    root = tmp_path_factory.mktemp("world")
    make_streaming_student(root, "asr_rnnt")
    generator = np.random.default_rng(0)
    lines = []
    for name, length in zip("abcd", (7_000, 16_000, 3_000, 32_000)):
        speech = generator.normal(0, 0.1, length) * np.sin(np.arange(length) / 700)
        soundfile.write(root / f"{name}.wav", speech, 16_000)
        lines.append(f"{name} {root / name}.wav\n")
    (root / "wav.scp").write_text("".join(lines))
    return root


@pytest.mark.parametrize("size", [0, 1_600, 16_000])
def test_it_takes_transducers_and_utterances_shorter_than_a_piece(
    world, tmp_path, size
):
    from espnet2.bin.asr_inference import Speech2Text

    from espnet_lmkd.__main__ import main
    from espnet_lmkd.asr.inputs import read_input

    exp = world / "asr_rnnt"
    config, model = str(exp / "config.yaml"), str(exp / "valid.loss.ave.pth")
    main(
        ["-m", "espnet2.bin.asr_inference_streaming", "--beam_size", "2"]
        + ["--asr_train_config", config, "--asr_model_file", model]
        + ["--data_path_and_name_and_type", f"{world}/wav.scp,speech,sound"]
        + ["--sim_chunk_length", str(size), "--num_workers", "0"]
        + ["--output_dir", str(tmp_path)]
    )
    found = (tmp_path / "1best_recog" / "token_int").read_text().splitlines()
    offline = Speech2Text(config, model, beam_size=2)
    for name, line in zip("abcd", found, strict=True):
        token_ids = offline(read_input(world / f"{name}.wav", 16_000))[0][2]
        assert line == " ".join([name, *map(str, token_ids)])
    assert len(found[0].split()) > 1 and len(found[2].split()) > 1
