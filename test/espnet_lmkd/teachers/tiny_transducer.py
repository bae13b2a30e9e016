"""A transducer experiment as training leaves it, with random weights."""

import numpy as np
import soundfile
import torch

from espnet_lmkd.data.directory import write_directory

TOKENS = ["<blank>", "<unk>", *"abcdefgh", "<sos/eos>"]
TEXTS = {"utt1": "a b c", "utt2": "d e f g h", "utt3": "a", "utt4": "h h b b"}
FRAMES = {"utt1": 9, "utt2": 14, "utt3": 5, "utt4": 12}
SIZE = 6  # of the features


def save_experiment(folder, seed=0, **changes):
    """Write config.yaml and model.pth; without convolutions batches change nothing."""
    from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

    from espnet_lmkd.asr.task import ASRKDTask

    args = ASRKDTask.get_parser().parse_args([])
    args.token_list, args.token_type = TOKENS, "word"
    args.input_size, args.frontend, args.normalize, args.init = SIZE, None, None, None
    args.encoder = "transformer"
    args.encoder_conf = dict(
        output_size=8,
        attention_heads=2,
        linear_units=16,
        num_blocks=1,
        input_layer="linear",
    )
    args.decoder = "transducer"
    args.decoder_conf = dict(num_layers=1, hidden_size=8)
    args.joint_net_conf = dict(joint_space_size=8)
    args.model, args.model_conf = "lmkd", dict(ctc_weight=0.0)
    vars(args).update(changes)
    torch.manual_seed(seed)
    model = ASRKDTask.build_model(args)
    if model.use_transducer_decoder:
        with torch.no_grad():  # peaked, or every path is like the next
            model.joint_network.lin_out.weight.mul_(20)
    folder.mkdir()
    torch.save(model.state_dict(), folder / "model.pth")
    with open(folder / "config.yaml", "w") as file:
        yaml_no_alias_safe_dump(vars(args), file, indent=4, sort_keys=False)
    return folder / "model.pth"


def write_features(folder):
    """Write a data directory of random features, 10 frames a second."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    files = {}
    for utterance, frames in FRAMES.items():
        files[utterance] = folder / f"{utterance}.npy"
        features = generator.normal(size=(frames, SIZE)).astype(np.float16)
        np.save(files[utterance], features)
    seconds = {utterance: f"{frames / 10:.3f}" for utterance, frames in FRAMES.items()}
    speakers = {utterance: "speaker" for utterance in TEXTS}
    wavs = {utterance: f"{utterance}.wav" for utterance in TEXTS}
    tables = {"wav.scp": wavs, "feats.scp": files, "utt2dur": seconds}
    write_directory(folder, tables | {"text": TEXTS, "utt2spk": speakers})
    return folder


def write_speech(folder, samples):
    """Write a data directory of noise, with so many samples an utterance at 16 kHz."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    files = {utterance: folder / f"{utterance}.wav" for utterance in samples}
    for utterance, count in samples.items():
        soundfile.write(files[utterance], generator.normal(0, 0.1, count), 16000)
    texts = {utterance: TEXTS[utterance] for utterance in samples}
    speakers = {utterance: "speaker" for utterance in samples}
    tables = {"wav.scp": files, "text": texts, "utt2spk": speakers}
    write_directory(folder, tables)
    return folder
