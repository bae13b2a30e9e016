"""Write the outputs of a frozen speech encoder as a student's features (stage 3)."""

import argparse
import json
import os
from pathlib import Path

from espnet_lmkd.data.directory import read_directory, write_directory, write_lines
from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Write feats.scp and (T, E) float16 arrays beside the tables of a"
        " data directory. Start a killed run again: what is there is kept.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data_dir", required=True, help="16 kHz, such as dump/raw/dev"
    )
    parser.add_argument("--out", required=True, help="data directory to write")
    parser.add_argument("--encoder", required=True, help="folder or Hugging Face id")
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    parser.add_argument("--stack", type=int, default=1, help="frames joined to one")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser


def encode(encoder, speech, stack, device):
    """Return the (T, E) float16 features of (N,) samples."""
    import numpy as np
    import torch

    from espnet_lmkd.asr.pretrained_speech import stack_frames

    with torch.inference_mode():
        wave = torch.from_numpy(speech)[None].to(device)
        layers, _ = encoder(wave, torch.tensor([len(speech)], device=device))
        stacked = stack_frames(layers[-1], stack)
    return stacked[0].float().cpu().numpy().astype(np.float16)


def check_record(folder, record):
    """Write what made the features, or refuse a folder that others made.

    Raises:
        InputError: the folder holds features of another encoder or another stack.
    """
    path = Path(folder, "speech_encoder.json")
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != record:
        raise InputError(
            f"{folder} holds features made otherwise ({path.name}); remove it or give"
            " another --out"
        )
    write_lines(path, [json.dumps(record, indent=1)])


@exits_cleanly
def main(cmd=None):
    """Dump features.

    Example:
        % python3 -m espnet_lmkd.bin.dump_features --data_dir dump/raw/dev \\
            --out dump/whisper/dev --encoder openai/whisper-base.en --stack 4
    """
    args = get_parser().parse_args(cmd)
    import numpy as np
    from tqdm import tqdm

    from espnet_lmkd.asr.pretrained_speech import SAMPLE_RATE, PretrainedSpeech
    from espnet_lmkd.data.audio import read_mono
    from espnet_lmkd.teachers.pretrained import choose_device

    tables = read_directory(args.data_dir)
    device = choose_device(args.device)
    encoder = PretrainedSpeech.from_pretrained(args.encoder, args.revision, args.dtype)
    encoder.to(device).eval()
    out = Path(args.out)
    record = {
        "source": args.encoder,
        "commit": getattr(encoder.model.config, "_commit_hash", None),
        "dtype": args.dtype,
        "stack": args.stack,
        "size": encoder.size * args.stack,
    }
    check_record(out, record)
    (out / "features").mkdir(exist_ok=True)
    feats, durations = {}, {}
    for utterance, wav in tqdm(tables["wav.scp"].items(), desc=str(out), unit="utt"):
        path = out / "features" / f"{utterance}.npy"
        speech, rate = read_mono(utterance, wav)
        if rate != SAMPLE_RATE:
            raise InputError(
                f"utterance '{utterance}': {wav} has {rate} Hz, {SAMPLE_RATE} was"
                " wanted; run stage 3 with --fs 16000"
            )
        older = path.is_file() and path.stat().st_mtime < Path(wav).stat().st_mtime
        if older or not path.is_file():
            unfinished = path.with_suffix(".tmp")
            with unfinished.open("wb") as file:
                np.save(file, encode(encoder, speech, args.stack, device))
            os.replace(unfinished, path)
        feats[utterance] = str(path)
        durations[utterance] = f"{len(speech) / rate:.3f}"
    tables = {**tables, "feats.scp": feats, "utt2dur": durations}
    write_directory(out, tables)
    write_lines(out / "feats_type", ["speech_encoder"])
    print(f"{out}: {len(feats)} utterances, {record['size']} values a frame")


if __name__ == "__main__":
    main()
