"""Align hypotheses with references and count the errors."""

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence

import numpy as np

from espnet_lmkd.errors import InputError

ERROR = 2**20  # cost of an error; a substitution costs 1 more to break ties


class Counts(NamedTuple):
    """How often the units of a reference were recognised, replaced, lost; and added."""

    correct: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def length(self) -> int:
        """Units of the reference."""
        return self.correct + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions


class ScoredUtterance(NamedTuple):
    """One utterance of a test set with the units of both sides."""

    utterance: str
    speaker: str
    reference: List[str]
    hypothesis: List[str]
    counts: Counts


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    """Count the operations of the alignment with the fewest errors.

    Of equally short alignments the one with the fewest substitutions, as in sclite.

    Example:
        >>> count_errors("a b c".split(), "a x c d".split())
        Counts(correct=2, substitutions=1, deletions=0, insertions=1)
    """
    ids = {unit: index for index, unit in enumerate({*reference, *hypothesis})}
    columns = np.array([ids[unit] for unit in hypothesis], dtype=int)
    insertions = np.arange(len(hypothesis) + 1) * ERROR
    costs = insertions
    for unit in reference:
        best = costs + ERROR  # deleted
        replaced = costs[:-1] + np.where(columns == ids[unit], 0, ERROR + 1)
        best[1:] = np.minimum(best[1:], replaced)
        costs = np.minimum.accumulate(best - insertions) + insertions
    errors, substitutions = divmod(int(costs[-1]), ERROR)
    shorter_by = len(reference) - len(hypothesis)  # deletions less insertions
    deletions = (errors - substitutions + shorter_by) // 2
    correct = len(reference) - substitutions - deletions
    return Counts(correct, substitutions, deletions, deletions - shorter_by)


def splitter(kind: str, bpemodel=None) -> Callable[[str], List[str]]:
    """Return what cuts a sentence into the units that ESPnet scores.

    Args:
        kind: `wer` words, `cer` characters with `<space>`, `ter` sentence pieces.
        bpemodel: path of the SentencePiece model, for `ter`.

    Example:
        >>> splitter("cer")("a cat")
        ['a', '<space>', 'c', 'a', 't']
    """
    if kind == "wer":
        return str.split
    if kind == "cer":
        return lambda text: [c.replace(" ", "<space>") for c in " ".join(text.split())]
    import sentencepiece

    if not Path(bpemodel).is_file():
        raise InputError(f"{bpemodel}: a SentencePiece model was wanted for the TER")
    model = sentencepiece.SentencePieceProcessor(model_file=str(bpemodel))
    return lambda text: model.encode(text, out_type=str)


def read_hypotheses(path) -> Dict[str, str]:
    """Read `utterance hypothesis` lines, where the hypothesis may be empty.

    Raises:
        InputError: no such file, or an utterance twice.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; decode this set first (stage 12)")
    hypotheses = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        utterance, _, text = line.partition(" ")
        if utterance in hypotheses:
            raise InputError(f"{path}:{number}: duplicate id {utterance!r}")
        hypotheses[utterance] = text.strip()
    return hypotheses


def score(
    references: Dict[str, str],
    hypotheses: Dict[str, str],
    utt2spk: Dict[str, str],
    split: Callable[[str], List[str]],
) -> List[ScoredUtterance]:
    """Score a test set, sorted by utterance.

    Raises:
        InputError: an utterance of one side is not in the other.
    """
    for what, lacking in (
        (
            "without a hypothesis; decode the set again",
            references.keys() - hypotheses.keys(),
        ),
        (
            "decoded but not in the reference text",
            hypotheses.keys() - references.keys(),
        ),
        ("without a speaker; complete utt2spk", references.keys() - utt2spk.keys()),
    ):
        if lacking:
            named = ", ".join(sorted(lacking)[:5])
            raise InputError(f"{len(lacking)} utterances are {what}: {named}")
    scored = []
    for utterance in sorted(references):
        reference = split(references[utterance])
        hypothesis = split(hypotheses[utterance])
        # As sclite does: upper and lower case are the same.
        counts = count_errors(
            *(list(map(str.casefold, u)) for u in (reference, hypothesis))
        )
        speaker = utt2spk[utterance]
        scored.append(
            ScoredUtterance(utterance, speaker, reference, hypothesis, counts)
        )
    return scored
