"""Write the data directories of a corpus in LibriSpeech's layout."""

import argparse
import itertools
from pathlib import Path

from espnet_lmkd.data.corpus import (
    choose_percent,
    hold_out_speakers,
    write_lm_text,
    write_sets,
)
from espnet_lmkd.data.librispeech import read_genders, read_part
from espnet_lmkd.data.overlap import read_sentences
from espnet_lmkd.errors import InputError, exits_cleanly

TEST_PARTS = ("test-clean-a", "dev-clean-2")


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="LibriSpeech folder")
    parser.add_argument("--lm_text", default="", help="text, one sentence a line")
    parser.add_argument("--num_dev_speakers", type=int, default=3)
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
    """Write train, dev, test, unlabelled, local/lm_train*.txt and parts of train."""
    args = get_parser().parse_args(cmd)
    corpus = Path(args.corpus)
    test_part = next((p for p in TEST_PARTS if (corpus / p).is_dir()), None)
    if test_part is None or not (corpus / "train-clean-5").is_dir():
        raise InputError(
            f"MINI_LIBRISPEECH={corpus}: a folder with train-clean-5 and one of"
            f" {', '.join(TEST_PARTS)} was wanted;"
            " correct it in db.sh or the environment"
        )
    train = read_part(corpus / "train-clean-5")
    test = read_part(corpus / test_part)
    genders = read_genders(corpus)
    speakers = {s: genders.get(s, "") for s in train["utt2spk"].values()}
    dev_speakers = hold_out_speakers(speakers, args.num_dev_speakers)
    sets = {"train": [], "dev": []}
    for utterance, speaker in train["utt2spk"].items():
        sets["dev" if speaker in dev_speakers else "train"].append(utterance)
    for percent in args.train_percents:
        part = sets[f"train_{percent}"] = choose_percent(sets["train"], percent)
        known = {train["text"][utterance] for utterance in part}  # one was read twice
        sets[f"rest_{percent}"] = [
            u for u in sets["train"] if train["text"][u] not in known
        ]
    write_sets(args.out, train, {name: ids for name, ids in sets.items() if ids})
    write_sets(args.out, test, {"test": list(test["text"])})
    seen = set(speakers)

    unlabelled = {"text": {}}
    if (corpus / "train-clean-extra").is_dir():
        unlabelled = read_part(corpus / "train-clean-extra")
        # it has more chapters of some training speakers; those of dev stay unheard
        spoken_by = unlabelled["utt2spk"]
        kept = [u for u, speaker in spoken_by.items() if speaker not in dev_speakers]
        write_sets(args.out, unlabelled, {"unlabelled": kept})
        print(f"left out of unlabelled, by dev speakers: {len(spoken_by) - len(kept)}")
        seen |= set(spoken_by.values())
    shared = sorted(seen & set(test["utt2spk"].values()))
    if shared:
        raise InputError(
            f"{corpus / test_part}: speaker {shared[0]} is also in a training part;"
            " test speakers must be new, take the parts as published"
        )

    held_out = [train["text"][utterance] for utterance in sets["dev"]]
    held_out += [*test["text"].values(), *unlabelled["text"].values()]
    suffixes = ["", *(f"_{percent}" for percent in args.train_percents)]
    for suffix in suffixes:
        transcripts, rest = (
            [train["text"][utterance] for utterance in sets.get(name + suffix, ())]
            for name in ("train", "rest")
        )
        other = read_sentences(args.lm_text) if args.lm_text else ()
        write_lm_text(
            Path(args.out) / "local" / f"lm_train{suffix}.txt",
            itertools.chain(transcripts, other),
            held_out + rest,
        )
    if not args.lm_text:
        print("LIBRISPEECH_LM_TEXT is empty: language models see transcripts alone")


if __name__ == "__main__":
    main()
