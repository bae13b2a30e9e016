"""Reading LibriSpeech's layout: <part>/<speaker>/<chapter>/<audio and transcripts>."""

from espnet_lmkd.errors import InputError

AUDIO = (".flac", ".wav", ".opus", ".sph")


def read_part(part):
    """Read a folder <speaker>/<chapter>/{*.trans.txt,<utterance>.<audio>}.

    Args:
        part: A folder such as LibriSpeech/train-clean-5.

    Returns:
        dict[str, dict[str, str]]: The tables wav.scp, text and utt2spk.

    Raises:
        InputError: An utterance without audio or text, or no transcripts at all.
    """
    tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    for transcripts in sorted(part.glob("*/*/*.trans.txt")):
        audio = {
            path.stem: path
            for path in transcripts.parent.iterdir()
            if path.suffix.lower() in AUDIO
        }
        for number, line in enumerate(transcripts.read_text("utf-8").splitlines(), 1):
            utterance, _, text = line.strip().partition(" ")
            where = f"{transcripts}:{number}: utterance '{utterance}'"
            if utterance not in audio:
                raise InputError(
                    f"{where} has no audio file; {transcripts.parent / utterance}"
                    f" with one of {' '.join(AUDIO)} was wanted"
                )
            if not text.strip():
                raise InputError(f"{where} has an empty text; remove the line")
            tables["wav.scp"][utterance] = str(audio[utterance])
            tables["text"][utterance] = text.strip()
            tables["utt2spk"][utterance] = transcripts.parent.parent.name
    if not tables["text"]:
        raise InputError(f"{part}: no <speaker>/<chapter>/*.trans.txt inside")
    return tables


def read_parts(corpus, names):
    """Read several parts of a corpus as one.

    Args:
        corpus: LibriSpeech folder.
        names: Parts, such as train-clean-100.

    Returns:
        dict[str, dict[str, str]]: The tables wav.scp, text and utt2spk.

    Raises:
        InputError: A part is missing or broken.
    """
    tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    for name in names:
        if not (corpus / name).is_dir():
            raise InputError(
                f"LIBRISPEECH={corpus}: a folder with {' '.join(names)} was wanted,"
                f" {name} is missing; correct it in db.sh or the environment"
            )
        for table, values in read_part(corpus / name).items():
            tables[table].update(values)
    return tables


def read_genders(corpus):
    """Read speaker -> "F" or "M" from SPEAKERS.TXT, empty where there is none."""
    table = corpus / "SPEAKERS.TXT"
    if not table.exists():
        return {}
    lines = table.read_text("utf-8").splitlines()
    fields = [line.split("|") for line in lines if not line.startswith(";")]
    return {f[0].strip(): f[1].strip() for f in fields if len(f) > 1}
