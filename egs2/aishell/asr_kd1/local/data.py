"""Write the data directories of a corpus in AISHELL-1's layout."""

import argparse
import itertools
from pathlib import Path

from espnet_lmkd.data.corpus import choose_percent, write_lm_text, write_sets
from espnet_lmkd.data.overlap import read_sentences
from espnet_lmkd.errors import InputError, exits_cleanly

AUDIO = (".wav", ".flac", ".opus")


def read_transcripts(corpus):
    """Read utterance -> characters, without the spaces between AISHELL's words."""
    found = sorted((corpus / "transcript").glob("*.txt"))
    if len(found) != 1:
        raise InputError(
            f"AISHELL={corpus}: wav/ and one transcript/*.txt were wanted, found "
            f"{len(found)}; correct it in db.sh or the environment"
        )
    texts = {}
    for number, line in enumerate(found[0].read_text("utf-8").splitlines(), 1):
        utterance, _, text = line.strip().partition(" ")
        texts[utterance] = "".join(text.split())
        if not texts[utterance]:
            raise InputError(f"{found[0]}:{number}: '{utterance}' has an empty text")
    return texts


def read_part(part, texts):
    """Read a folder <speaker>/<utterance>.<audio>.

    Returns:
        dict[str, dict[str, str]]: The tables wav.scp, text and utt2spk, of the
        utterances with a transcript: some 400 of AISHELL-1 have none.
    """
    tables, without = {"wav.scp": {}, "text": {}, "utt2spk": {}}, 0
    for path in sorted(part.glob("*/*")):
        if path.suffix.lower() not in AUDIO:
            continue
        if path.stem not in texts:
            without += 1
            continue
        # Ids begin with their speaker, as sorted tables want it.
        utterance = f"{path.parent.name}-{path.stem}"
        tables["wav.scp"][utterance] = str(path)
        tables["text"][utterance] = texts[path.stem]
        tables["utt2spk"][utterance] = path.parent.name
    if not tables["text"]:
        raise InputError(f"{part}: no <speaker>/<utterance>{AUDIO} with a transcript")
    if without:
        print(f"{part}: {without} utterances without a transcript left out")
    return tables


def read_sets(corpus, texts):
    """Read train, dev and test, or cut the one part of a sample by utterances."""
    parts = {path.name: path for path in (corpus / "wav").glob("*") if path.is_dir()}
    if set(parts) >= {"train", "dev", "test"}:
        return {
            name: read_part(parts[name], texts) for name in ("train", "dev", "test")
        }
    if len(parts) != 1:
        raise InputError(
            f"{corpus / 'wav'}: train, dev and test, or one folder of a sample was "
            f"wanted, found {sorted(parts) or 'none'}"
        )
    tables = read_part(*parts.values(), texts)
    fifth = choose_percent(tables["text"], 20)
    test = choose_percent(fifth, 50)
    print(f"{corpus} is a sample: dev and test are 10 % each, by the training speakers")

    def those(chosen):
        return {
            name: {u: value for u, value in table.items() if u in chosen}
            for name, table in tables.items()
        }

    train = tables["text"].keys() - set(fifth)
    return {
        "train": those(train),
        "dev": those(set(fifth) - set(test)),
        "test": those(set(test)),
    }


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="data_aishell folder")
    parser.add_argument("--lm_text", default="", help="text, one sentence a line")
    parser.add_argument("--out", default="data", help="folder to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write train, dev, test and local/lm_train.txt."""
    args = get_parser().parse_args(cmd)
    corpus = Path(args.corpus)
    sets = read_sets(corpus, read_transcripts(corpus))
    for name, tables in sets.items():
        write_sets(args.out, tables, {name: list(tables["text"])})
    held_out = [*sets["dev"]["text"].values(), *sets["test"]["text"].values()]
    other = read_sentences(args.lm_text) if args.lm_text else ()
    write_lm_text(
        Path(args.out) / "local" / "lm_train.txt",
        itertools.chain(sets["train"]["text"].values(), other),
        held_out,
    )


if __name__ == "__main__":
    main()
