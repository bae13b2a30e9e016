"""Write when each word is said: a CTM file, and pictures."""

import argparse
from pathlib import Path

from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--asr_train_config", required=True, help="its config.yaml")
    add("--asr_model_file", required=True, help="checkpoint")
    add("--data_dir", required=True, help="with wav.scp or feats.scp")
    add("--decode_dir", help="with token_int: of hypotheses; default: the data's text")
    add("--method", choices=("cif", "ctc"), default="cif")
    add("--unit", choices=("word", "token"), default="word")
    add("--out", required=True, help="folder: ctm, and <utterance>.png")
    add("--num_pictures", type=int, default=0)
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write <out>/ctm, a line "utterance 1 start duration word" each.

    Example:
        % python3 -m espnet_lmkd.bin.timestamps \\
            --asr_train_config exp/asr_a/config.yaml \\
            --asr_model_file exp/asr_a/valid.acc.ave.pth --data_dir dump/raw/test \\
            --out exp/asr_a/timestamps --num_pictures 3
    """
    args = get_parser().parse_args(cmd)
    import torch
    from tqdm import tqdm

    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input, read_inputs
    from espnet_lmkd.asr.timestamps import align_tokens, in_seconds
    from espnet_lmkd.asr.words import WordJoiner
    from espnet_lmkd.data.directory import read_table, write_lines
    from espnet_lmkd.scoring.counts import read_hypotheses
    from espnet_lmkd.scoring.firing import draw_firing

    device = "cuda" if args.ngpu else "cpu"
    recogniser = Recogniser(
        args.asr_train_config, args.asr_model_file, SearchOptions("beam"), device=device
    )
    converter = recogniser.speech2text.converter
    tokenizer = recogniser.speech2text.tokenizer
    inputs, out = read_inputs(args.data_dir), Path(args.out)
    if args.decode_dir:
        table = read_hypotheses(Path(args.decode_dir, "token_int"))
        ids_of = {u: [int(i) for i in ids.split()] for u, ids in table.items()}
    else:
        texts = read_table(Path(args.data_dir, "text"))
        ids_of = {
            u: converter.tokens2ids(tokenizer.text2tokens(t)) for u, t in texts.items()
        }
    wav_scp = Path(args.data_dir, "wav.scp")
    audio = read_table(wav_scp) if wav_scp.is_file() else {}
    join, lines = WordJoiner(recogniser.model.token_list), []
    for number, (utterance, path) in enumerate(
        tqdm(inputs.files.items(), desc=str(out), unit="utt")
    ):
        speech = read_input(path, recogniser.sample_rate)
        seconds = inputs.seconds.get(utterance, len(speech) / recogniser.sample_rate)
        ids = ids_of[utterance]
        if not ids:
            continue
        data = torch.as_tensor(speech, device=device)
        try:
            alignment = align_tokens(recogniser.model, data, ids, args.method)
        except InputError as error:
            raise InputError(f"utterance {utterance!r}: {error}") from error
        timed = in_seconds(alignment, converter.ids2tokens(ids), seconds)
        if args.unit == "word":
            timed = join(timed)
        lines += [
            f"{utterance} 1 {item.start:.3f} {item.end - item.start:.3f} {item.text}"
            for item in timed
        ]
        if number < args.num_pictures:
            if utterance in audio:  # features tell the eye nothing
                speech = read_input(audio[utterance], recogniser.sample_rate)
            draw_firing(
                out / f"{utterance}.png", speech, seconds, alignment.weights, timed
            )
    write_lines(out / "ctm", lines)
    print(f"{out / 'ctm'}: {len(lines)} {args.unit}s")


if __name__ == "__main__":
    main()
