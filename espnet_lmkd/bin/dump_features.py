"""Write the outputs of a frozen speech encoder as a student's features (stage 3)."""

import argparse
import os
from pathlib import Path

from espnet_lmkd.errors import exits_cleanly


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

    from espnet_lmkd.data.audio import read_mono
    from espnet_lmkd.data.directory import validate, write_directory, write_lines
    from espnet_lmkd.errors import InputError
    from espnet_lmkd.teachers.speech_encoder import (
        SAMPLE_RATE,
        FrozenSpeechEncoder,
        check_record,
    )

    tables = validate(args.data_dir, ("wav.scp", "text", "utt2spk"))
    encoder = FrozenSpeechEncoder(
        args.encoder, args.revision, args.dtype, args.stack, args.device
    )
    out = Path(args.out)
    check_record(out, encoder.record)
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
        if not path.is_file():
            unfinished = path.with_suffix(".tmp")
            with unfinished.open("wb") as file:
                np.save(file, encoder(speech).astype(np.float16))
            os.replace(unfinished, path)
        feats[utterance] = str(path)
        durations[utterance] = f"{len(speech) / rate:.3f}"
    tables = {**tables, "feats.scp": feats, "utt2dur": durations}
    write_directory(out, tables)
    write_lines(out / "feats_type", ["speech_encoder"])
    print(f"{out}: {len(feats)} utterances, {encoder.record['size']} values a frame")


if __name__ == "__main__":
    main()
