"""Write when each word is said: a CTM file, and pictures."""

import argparse
import logging
from pathlib import Path

from espnet_lmkd.errors import InputError, exits_cleanly

logger = logging.getLogger(__name__)


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

    Utterances too short for the encoder or for their text are named in a warning.

    Example:
        % python3 -m espnet_lmkd.bin.timestamps \\
            --asr_train_config exp/asr_a/config.yaml \\
            --asr_model_file exp/asr_a/valid.acc.ave.pth --data_dir dump/raw/test \\
            --out exp/asr_a/timestamps --num_pictures 3
    """
    args = get_parser().parse_args(cmd)
    import torch
    from tqdm import tqdm

    from espnet_lmkd.asr.compat import TooShortUttError
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.inputs import read_input, read_inputs
    from espnet_lmkd.asr.timestamps import align_tokens, in_seconds
    from espnet_lmkd.asr.words import WordJoiner
    from espnet_lmkd.data.directory import read_table, write_lines
    from espnet_lmkd.scoring.firing import draw_firing

    inputs, out = read_inputs(args.data_dir), Path(args.out)
    said = read_said(args.data_dir, args.decode_dir, inputs.files)
    device = "cuda" if args.ngpu else "cpu"
    recogniser = Recogniser(
        args.asr_train_config, args.asr_model_file, SearchOptions("beam"), device=device
    )
    converter = recogniser.speech2text.converter
    tokenizer = recogniser.speech2text.tokenizer
    wav_scp = Path(args.data_dir, "wav.scp")
    audio = read_table(wav_scp) if wav_scp.is_file() else {}
    join, lines = WordJoiner(recogniser.model.token_list), []
    too_short, pictures = [], 0
    for utterance, path in tqdm(inputs.files.items(), desc=str(out), unit="utt"):
        speech = recogniser.hearing.read(utterance, path)
        seconds = inputs.seconds.get(utterance, len(speech) / recogniser.sample_rate)
        if args.decode_dir:
            ids = [int(number) for number in said[utterance].split()]
            tokens = converter.ids2tokens(ids)
        else:  # tokens as the text spells them, not <unk>
            tokens = tokenizer.text2tokens(said[utterance])
            ids = converter.tokens2ids(tokens)
        if not ids:
            continue
        data = torch.as_tensor(speech, device=device)
        try:
            recogniser.hearing.check(speech)
            alignment = align_tokens(recogniser.model, data, ids, args.method)
        except TooShortUttError:
            too_short.append(utterance)
            continue
        timed = in_seconds(alignment, tokens, seconds)
        if args.unit == "word":
            timed = join(timed)
        lines += [
            f"{utterance} 1 {item.start:.3f} {item.end - item.start:.3f} {item.text}"
            for item in timed
        ]
        if pictures < args.num_pictures:
            pictures += 1
            if utterance in audio:  # features tell the eye nothing
                speech = read_input(audio[utterance], recogniser.sample_rate)
            draw_firing(
                out / f"{utterance}.png", speech, seconds, alignment.weights, timed
            )
    if too_short:
        logger.warning(
            f"{args.data_dir}: {len(too_short)} utterances are too short for the "
            f"encoder or for their text and have no line: {too_short}"
        )
    write_lines(out / "ctm", lines)
    print(f"{out / 'ctm'}: {len(lines)} {args.unit}s")


def read_said(data_dir, decode_dir, utterances):
    """Return utterance -> its text, or the ids of its hypothesis if decoded.

    Args:
        data_dir: with `text`.
        decode_dir: with `token_int`, or None.
        utterances: that must have one.

    Raises:
        InputError: an utterance has none.
    """
    from espnet_lmkd.data.directory import read_table
    from espnet_lmkd.scoring.counts import read_hypotheses

    if decode_dir:
        path, remedy = Path(decode_dir, "token_int"), "decode the whole set (stage 12)"
        said = read_hypotheses(path)
    else:
        path, remedy = Path(data_dir, "text"), "complete it or give --decode_dir"
        said = read_table(path)
    if lacking := sorted(set(utterances) - set(said)):
        raise InputError(
            f"{path}: no line of utterance {lacking[0]!r} ({len(lacking)} such); "
            f"{remedy}"
        )
    return said


if __name__ == "__main__":
    main()
