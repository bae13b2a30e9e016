"""The plan of an extraction from audio: every utterance is a unit of its own."""

from math import ceil

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import audio_hash
from espnet_lmkd.targets.plan import Plan, Unit
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.vocabulary import text_hash


def make_frame_plan(
    texts,
    audio,
    seconds,
    tokenizer,
    header,
    dims,
    frames_per_second,
    unsuitable,
    student_audio=None,
    drop_too_long=False,
    shard_size=1000,
) -> Plan:
    """Settle what to extract from audio: each utterance once, sorted by length.

    Speed-perturbed copies are utterances of their own, for their frames are others.

    Args:
        texts: Text of each utterance: a reference, or a hypothesis.
        audio: File of each that the teacher hears: speech, or features.
        seconds: Length of each.
        tokenizer: `StudentTokenizer`.
        header: The manifest's own entries.
        dims: Width of each array, by name.
        frames_per_second: Of the teacher; the number of rows is estimated from it.
        unsuitable: Reason for each utterance that the teacher does not take.
        student_audio: File of each that the student hears; None: the same. The store
            records its hash, by which a training finds out that it has changed.
        drop_too_long: Drop these instead of raising.
        shard_size: Number of utterances in a shard.

    Returns:
        The plan; the source of a unit is its utterance, hash of the file and token ids.

    Raises:
        InputError: If a text has no tokens, or an utterance does not suit the teacher.
    """
    if unsuitable and not drop_too_long:
        utterance, reason = min(unsuitable.items())
        raise InputError(
            f"{len(unsuitable)} utterances do not suit the teacher, first {utterance!r}"
            f" ({reason}); give --drop_too_long to leave them without targets"
        )
    hashes = {utterance: audio_hash(path) for utterance, path in audio.items()}
    student_hashes = hashes
    if student_audio is not None:
        student_hashes = {u: audio_hash(path) for u, path in student_audio.items()}
    units = []
    for utterance, text in texts.items():
        ids = tuple(tokenizer.ids(text))
        if not ids:
            raise InputError(f"utterance {utterance!r} has an empty text; remove it")
        if utterance not in unsuitable:
            source = (utterance, hashes[utterance], ids)
            frames = ceil(seconds[utterance] * frames_per_second)
            units.append(Unit(utterance, ids, source, frames))
    if not units:
        raise InputError("no utterance is left to extract targets for")
    units.sort(key=lambda unit: (unit.source_length, unit.key))
    return Plan(
        header,
        dims,
        {name: TARGETS[name].dtype for name in dims},
        {utterance: utterance for utterance in texts},
        {
            "text_hash": {u: text_hash(text) for u, text in texts.items()},
            "audio_hash": student_hashes,
        },
        tuple(units),
        dict(unsuitable),
        shard_size,
    )
