"""Joint decoding of a language model and a CTC student that has another vocabulary."""

from typing import Callable, Dict, List, Sequence, Tuple

import torch


class CTCGuide:
    """What a CTC student thinks of the words that a language model has written.

    Ours, after Watanabe, Hori, Kim, Hershey, Hayashi, "Hybrid CTC/Attention
    Architecture for End-to-End Speech Recognition", IEEE JSTSP 2017, whose two parts
    write the same tokens. Here they share the text: what is written so far is cut into
    the student's tokens anew with each token of the language model. Half a word may be
    cut otherwise than the whole one; the score of the text as a whole is exact.

    score = weight log P_CTC(text ...),  or log P_CTC(text) where it ends

    Args:
        log_probs: (T, K) of the student's frames, class 0 is blank.
        write: returns the text of the language model's tokens.
        spell: returns the student's ids of a text.
        weight: beside log P of the language model.
    """

    def __init__(
        self,
        log_probs: torch.Tensor,
        write: Callable[[Sequence[int]], str],
        spell: Callable[[str], List[int]],
        weight: float,
    ):
        self.log_probs, self.weight = log_probs, weight
        self._write, self._spell = write, spell
        self._known: Dict[Tuple[str, bool], float] = {("", False): 0.0}

    def score(self, hypotheses: Sequence[Tuple[List[int], bool]]) -> List[float]:
        """Return the score of each (tokens of the language model, whether they end)."""
        keys = [
            (" ".join(self._write(tokens).split()), ended)
            for tokens, ended in hypotheses
        ]
        new = sorted(set(keys).difference(self._known))
        if new:
            ids = [self._spell(text) for text, _ in new]
            prefixes, wholes = ctc_scores(self.log_probs, ids)
            for key, prefix, whole in zip(new, prefixes, wholes):
                self._known[key] = self.weight * (whole if key[1] else prefix)
        return [self._known[key] for key in keys]


@torch.no_grad()
def ctc_scores(
    log_probs: torch.Tensor, texts: Sequence[Sequence[int]]
) -> Tuple[List[float], List[float]]:
    """Return log P of everything that begins with a text, and of the text alone.

    P(y ...) = sum_t P(y_1 .. y_{L-1} before t) p_t(y_L),  1 for no token

    Args:
        log_probs: (T, K), class 0 is blank.
        texts: of each its tokens, none of them blank.

    Example:
        >>> log_probs = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
        >>> [[round(x, 2) for x in s] for s in ctc_scores(log_probs, [[], [1], [1, 1]])]
        [[0.0, -0.29, -inf], [-1.39, -0.29, -inf]]
    """
    lengths = torch.tensor([len(text) for text in texts])
    labels = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    for row, text in zip(labels, texts):
        row[: len(text)] = torch.tensor(text, dtype=torch.long)
    log_probs = log_probs.double().cpu()
    emitted = log_probs[:, labels]  # (T, N, L)
    repeats = torch.zeros_like(labels, dtype=torch.bool)
    repeats[:, 1:] = labels[:, 1:] == labels[:, :-1]
    shape = (len(texts), labels.shape[1] + 1)
    in_label, in_blank, prefix = torch.full((3, *shape), -torch.inf).double()
    in_blank[:, 0] = prefix[:, 0] = 0.0
    for blank, emit in zip(log_probs[:, 0], emitted):
        both = torch.logaddexp(in_label, in_blank)
        begun = torch.where(repeats, in_blank[:, :-1], both[:, :-1]) + emit
        prefix[:, 1:] = torch.logaddexp(prefix[:, 1:], begun)
        in_label[:, 1:] = torch.logaddexp(in_label[:, 1:] + emit, begun)
        in_blank = both + blank
    whole = torch.logaddexp(in_label, in_blank)
    rows = torch.arange(len(texts))
    return prefix[rows, lengths].tolist(), whole[rows, lengths].tolist()
