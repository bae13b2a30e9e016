"""Compare a target store with the texts, the audio and the tokenizer of a student."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.store import RERUN, read_manifest, unperturbed
from espnet_lmkd.targets.vocabulary import text_hash


@dataclass
class StoreReport:
    """What `check_store` found; every list is empty when the store is good.

    Args:
        store: Folder of the store.
        num_utterances: Number of utterances that were looked up.
        dropped: Utterances that extraction dropped: allowed, only counted.
        tokenizer: Differences between the store's tokenizer and the student's.
        missing: Utterances without targets.
        stale: Utterances whose text has changed since extraction.
        stale_audio: Utterances whose audio or features have changed since.
        wrong_length: Utterances extracted with another number of tokens.
        corrupt: Shards whose size or SHA-256 is not that of the manifest.
    """

    store: str
    num_utterances: int = 0
    dropped: list = field(default_factory=list)
    tokenizer: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    stale: list = field(default_factory=list)
    stale_audio: list = field(default_factory=list)
    wrong_length: list = field(default_factory=list)
    corrupt: list = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return one clause for each kind of problem."""
        kinds = {
            "tokenizer": "the store belongs to another tokenizer:",
            "missing": "utterances have no targets:",
            "stale": "utterances have another text now:",
            "stale_audio": "utterances have other audio or features now:",
            "wrong_length": "utterances have targets of the wrong length:",
            "corrupt": "shards are missing or corrupt:",
        }
        clauses = []
        for kind, words in kinds.items():
            found = getattr(self, kind)
            if found:
                count = "" if kind == "tokenizer" else f"{len(found)} "
                more = ", ..." if len(found) > 3 else ""
                clauses.append(f"{count}{words} {', '.join(found[:3])}{more}")
        return clauses

    def raise_if_bad(self):
        """Raise an `InputError` that names the problems and what to rerun."""
        if self.problems():
            raise InputError(f"{self.store}: {'; '.join(self.problems())}; {RERUN}")


def check_store(
    store, texts, student, tokenizer=None, sha256=False, audio=None
) -> StoreReport:
    """Compare a target store with texts, audio and a student's tokenizer.

    Args:
        store: Folder of the store.
        texts: Text of each utterance; speed-perturbed ids are understood.
        student: `tokenizer_record` of the student: ``fingerprint``, ``token_type`` and
            ``vocab_size``; only the keys that are given are compared.
        tokenizer: `StudentTokenizer`; when given, lengths are compared as well.
        sha256: Read all shards and compare their SHA-256, not only their size.
        audio: File that the student hears (or its features) of each utterance; when
            given, those of a frame-side store are read and compared as well.

    Returns:
        The report; call its ``raise_if_bad``.

    Raises:
        InputError: If there is no finished store.
    """
    manifest = read_manifest(store)
    report = StoreReport(str(store), len(texts))
    own_tokens = "teacher_tokens" in manifest["targets"]  # not the student's
    for key, value in student.items():
        if not own_tokens and manifest["tokenizer"][key] != value:
            report.tokenizer.append(
                f"{key} {_short(manifest['tokenizer'][key])} in the store,"
                f" {_short(value)} in the student"
            )

    hashes = read_table(Path(store, "text_hash"))
    lengths = read_table(Path(store, "utt2num_tokens"))
    on_text_side = all(TARGETS[name].side != "frame" for name in manifest["targets"])
    for utterance, text in texts.items():
        key = utterance
        if on_text_side and key not in hashes:
            key = unperturbed(utterance)
        if key not in hashes:
            report.missing.append(utterance)
        elif hashes[key] != text_hash(text):
            report.stale.append(utterance)
        elif key in manifest["dropped"]:
            report.dropped.append(utterance)
        elif own_tokens or tokenizer is None:
            continue
        elif len(tokenizer.ids(text)) != int(lengths[key]):
            report.wrong_length.append(utterance)

    if audio is not None and not on_text_side:
        recorded = read_table(Path(store, "audio_hash"))
        report.stale_audio = [
            utterance
            for utterance in texts
            if utterance in recorded
            and recorded[utterance] != audio_hash(audio.get(utterance, ""))
        ]

    for shard in manifest["shards"]:
        path = Path(store, shard["file"])
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            report.corrupt.append(shard["file"])
        elif sha256 and file_sha256(path) != shard["sha256"]:
            report.corrupt.append(shard["file"])
    return report


def file_sha256(path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def audio_hash(path) -> str | None:
    """Return the first 16 hex digits of the SHA-256 of a file, or None without it."""
    return file_sha256(path)[:16] if Path(path).is_file() else None


def _short(value):
    return str(value)[:12]
