"""Another choice among the hypotheses of a search, by a language model's scores."""

import itertools
import json
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import count_errors, read_hypotheses


class Candidate(NamedTuple):
    """A hypothesis of a search.

    Args:
        text: what it says.
        tokens: of the recogniser.
        score: of the search, a log-probability.
        lm_score: log P(text) of a language model.
    """

    text: str
    tokens: List[str]
    score: float
    lm_score: float = 0.0

    def total(self, lm_weight: float, length_bonus: float) -> float:
        """Return score + lm_weight lm_score + length_bonus tokens.

        Example:
            >>> Candidate("a cat", ["a", "cat"], -3.0, -10.0).total(0.1, 0.5)
            -3.0
        """
        length = len(self.tokens)
        return self.score + lm_weight * self.lm_score + length_bonus * length


def read_nbest(
    decode_dir, lm_scores: Callable[[Sequence[str]], List[float]]
) -> Dict[str, List[Candidate]]:
    """Read the hypotheses of a decoded set and have a language model score them.

    Args:
        decode_dir: of `asr_inference` with `nbest` above 1.
        lm_scores: returns log P of each of the different texts.

    Raises:
        InputError: the set was decoded without `nbest`.
    """
    path = Path(decode_dir, "nbest")
    if not path.is_file():
        raise InputError(f"{path}: no such file; decode with nbest above 1 (conf/*)")
    lists = {utt: json.loads(line) for utt, line in read_hypotheses(path).items()}
    texts = sorted({text for hyps in lists.values() for text, _, _ in hyps})
    of_lm = dict(zip(texts, lm_scores(texts)))
    return {
        utt: [Candidate(*hyp, lm_score=of_lm[hyp[0]]) for hyp in hyps]
        for utt, hyps in lists.items()
    }


def choose(
    nbest: Dict[str, List[Candidate]], lm_weight: float, length_bonus: float
) -> Dict[str, Candidate]:
    """Return the best hypothesis of each utterance; of equals the search's own choice.

    An utterance that the search has nothing for gets an empty hypothesis.
    """
    nothing = Candidate("", [], 0.0)
    return {
        utt: max(hyps, key=lambda h: h.total(lm_weight, length_bonus), default=nothing)
        for utt, hyps in nbest.items()
    }


def tune(
    nbest: Dict[str, List[Candidate]],
    references: Dict[str, str],
    lm_weights: Sequence[float],
    length_bonuses: Sequence[float],
) -> List[Tuple[float, float, float]]:
    """Return (lm_weight, length_bonus, WER in percent), best first.

    Of equals the smaller values come first.

    Raises:
        InputError: an utterance has no reference.
    """
    lacking = sorted(nbest.keys() - references.keys())
    if lacking:
        raise InputError(
            f"--tune_text: no transcript of utterance '{lacking[0]}' ({len(lacking)}"
            " such); give the text of the first --decode_dirs"
        )
    split = {utt: references[utt].casefold().split() for utt in nbest}
    words = max(1, sum(map(len, split.values())))
    results = []
    for pair in sorted(itertools.product(lm_weights, length_bonuses)):
        chosen = choose(nbest, *pair)
        errors = sum(
            count_errors(reference, chosen[utt].text.casefold().split()).errors
            for utt, reference in split.items()
        )
        results.append((*pair, 100 * errors / words))
    return sorted(results, key=lambda result: result[2])
