"""Write the data directories of AN4: dev is eight speakers of the training part."""

import argparse
from pathlib import Path

from an4_layout import join, read_part

from espnet_lmkd.data.corpus import (
    choose_percent,
    hold_out_speakers,
    write_lm_text,
    write_sets,
)
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="AN4 folder with etc/ and wav/")
    parser.add_argument("--num_dev_speakers", type=int, default=8)
    parser.add_argument(
        "--train_percents",
        nargs="*",
        type=int,
        default=[],
        help="also write train_<percent>, the other utterances as rest_<percent>, for"
        " experiments with fewer transcripts, and local/lm_train_<percent>.txt, whose"
        " sentences are none of the rest's",
    )
    parser.add_argument("--out", default="data", help="folder to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write train, dev, test, local/lm_train.txt and parts of train."""
    args = get_parser().parse_args(cmd)
    corpus = Path(args.corpus)
    train, test = read_part(corpus, "train"), read_part(corpus, "test")
    # a speaker's name begins with f or m
    gender = {speaker: speaker[0] for speaker in train["utt2spk"].values()}
    dev_speakers = hold_out_speakers(gender, args.num_dev_speakers)
    sets = {"train": [], "dev": [], "test": list(test["text"])}
    for utterance, speaker in train["utt2spk"].items():
        sets["dev" if speaker in dev_speakers else "train"].append(utterance)
    for percent in args.train_percents:
        part = sets[f"train_{percent}"] = choose_percent(sets["train"], percent)
        sets[f"rest_{percent}"] = sorted(set(sets["train"]) - set(part))
    tables = join(train, test)
    write_sets(args.out, tables, sets)
    # names and numbers repeat across speakers: what dev or test say leaves the text
    text = tables["text"]
    for suffix in ["", *(f"_{percent}" for percent in args.train_percents)]:
        held_out = ["dev", "test", *([f"rest{suffix}"] if suffix else [])]
        write_lm_text(
            Path(args.out) / "local" / f"lm_train{suffix}.txt",
            [text[utterance] for utterance in sorted(sets[f"train{suffix}"])],
            [text[utterance] for name in held_out for utterance in sets[name]],
        )


if __name__ == "__main__":
    main()
