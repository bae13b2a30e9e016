"""Batched greedy and beam search with a speech-prompted LM that cannot loop."""

import math
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence

import torch

from espnet_lmkd.asr.speech_prompt.ctc_guide import CTCGuide
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


@dataclass(frozen=True)
class Limits:
    """When a hypothesis ends without its end being recognised.

    Args:
        tokens_per_second, extra_tokens: at most ceil(rate * seconds of speech) + extra
            tokens; 4 and 20 in Hono et al., 2023, arXiv 2312.03668.
        repetitions: this many times the same n-gram on end, and only the first stays.
        longest_ngram: its largest n, 0 to let them go on.

    Example:
        >>> Limits().max_tokens(2.1)
        29
    """

    tokens_per_second: float = 4.0
    extra_tokens: int = 20
    repetitions: int = 6
    longest_ngram: int = 10

    def __post_init__(self):
        if self.repetitions < 2:
            raise InputError(f"repetitions: at least 2, not {self.repetitions}")

    def max_tokens(self, seconds: float) -> int:
        """Return the most tokens of an utterance."""
        return math.ceil(self.tokens_per_second * seconds) + self.extra_tokens

    def loop(self, tokens: Sequence[int]) -> int:
        """Return how many tokens at the end only repeat what is before them.

        Example:
            >>> Limits(repetitions=3).loop([7, 1, 2, 1, 2, 1, 2])
            4
        """
        for n in range(1, self.longest_ngram + 1):
            repeated = n * (self.repetitions - 1)
            if n + repeated > len(tokens):
                break
            if tokens[-repeated:] == tokens[-n - repeated : -n]:
                return repeated
        return 0


class Hypothesis(NamedTuple):
    """What was recognised.

    Args:
        tokens: ids without sos and eos.
        score: log-probability.
        limit: which limit ended it, `length` or `repetition`, None for eos.
    """

    tokens: List[int]
    score: float
    limit: Optional[str] = None


class _Beam:
    """The search of one utterance.

    Args:
        utterance: its place in the batch.
        max_tokens: of a hypothesis.
        guide: has a say, too.
    """

    def __init__(
        self, utterance: int, max_tokens: int, guide: Optional[CTCGuide] = None
    ):
        self.utterance, self.max_tokens, self.guide = utterance, max_tokens, guide
        self.running, self.ended = [Hypothesis([], 0.0)], []

    def guided(self, choices, eos: int) -> list:
        """Return the choices with what the guide thinks of them."""
        if self.guide is None:
            return choices
        before = self.guide.score([(hyp.tokens, False) for hyp in self.running])
        after = self.guide.score(
            [
                (self.running[origin].tokens + [token] * (token != eos), token == eos)
                for _, origin, token in choices
            ]
        )
        return [
            (score + new - before[origin], origin, token)
            for new, (score, origin, token) in zip(after, choices)
        ]

    def extend(self, choices, eos: int, limits: Limits) -> List[int]:
        """Go on with the best (score, hypothesis, token); return whom they follow."""
        running, origins = [], []
        for score, origin, token in choices:
            tokens = [*self.running[origin].tokens, token]
            repeated = limits.loop(tokens)
            if token == eos:
                self.ended.append(Hypothesis(tokens[:-1], score))
            elif repeated:
                self.ended.append(Hypothesis(tokens[:-repeated], score, "repetition"))
            elif len(tokens) >= self.max_tokens:
                self.ended.append(Hypothesis(tokens, score, "length"))
            else:
                running.append(Hypothesis(tokens, score))
                origins.append(origin)
        self.running = running
        return origins

    def best(self) -> Optional[Hypothesis]:
        """Return the likeliest hypothesis once none that runs can become likelier."""
        best = max(self.ended, key=lambda hyp: hyp.score, default=None)
        if best and self.running and self.running[0].score > best.score:
            return None
        return best


@torch.no_grad()
def generate(
    decoder: SpeechPromptDecoder,
    encoder_outs: Sequence[torch.Tensor],
    seconds: Sequence[float],
    sos: int,
    eos: int,
    beam_size: int = 1,
    limits: Limits = Limits(),
    guides: Optional[Sequence[CTCGuide]] = None,
) -> List[Hypothesis]:
    """Find the likeliest text of each utterance; greedily with a beam of 1.

    Args:
        decoder: in eval mode.
        encoder_outs: (T, D) of each utterance.
        seconds: of speech in each.
        sos, eos: ids of the tokens around the text.
        beam_size: K, hypotheses kept for each utterance.
        limits: against loops.
        guides: of each utterance, a CTC student's say.
    """
    guides = guides or [None] * len(seconds)
    device = encoder_outs[0].device
    lengths = torch.tensor([len(frames) for frames in encoder_outs], device=device)
    frames = torch.nn.utils.rnn.pad_sequence(encoder_outs, batch_first=True)
    first = torch.full((len(seconds), 1), sos, device=device)
    log_probs, context = decoder.begin(Padded(frames, lengths), first)
    # The last token need not be read.
    room = decoder.lm.max_positions - context.mask.sum(1).cpu() + 1
    longest = map(min, map(limits.max_tokens, seconds), room.tolist())
    beams = [_Beam(i, most, guides[i]) for i, most in enumerate(longest)]
    results = {}
    while True:
        kept, rows, first_row = [], [], 0
        for beam, choices in zip(beams, _choices(beams, log_probs, beam_size, eos)):
            next_row = first_row + len(beam.running)
            origins = beam.extend(choices, eos, limits)
            best = beam.best()
            if best is None:
                kept.append(beam)
                rows += [first_row + origin for origin in origins]
            else:
                results[beam.utterance] = best
            first_row = next_row
        beams = kept
        if not beams:
            return [results[utterance] for utterance in range(len(seconds))]
        if rows != list(range(len(log_probs))):
            context = context.select(rows)
        last = [hyp.tokens[-1] for beam in beams for hyp in beam.running]
        log_probs, context = decoder.step(torch.tensor(last, device=device), context)


def _choices(beams: List[_Beam], log_probs: torch.Tensor, beam_size: int, eos: int):
    """Return the best (score, hypothesis, token) of each beam, the best first."""
    width = 2 * beam_size if beams[0].guide else beam_size  # what a guide chooses from
    values, ids = log_probs.topk(min(width, log_probs.shape[1]))
    rows, found = zip(values.tolist(), ids.tolist()), []  # each beam takes its rows
    for beam in beams:
        choices = [
            (hyp.score + value, origin, token)
            for origin, (hyp, row) in enumerate(zip(beam.running, rows))
            for value, token in zip(*row)
        ]
        choices = beam.guided(choices, eos)
        found.append(sorted(choices, key=lambda choice: -choice[0])[:beam_size])
    return found


def batches(seconds: Dict[str, float], most: float) -> List[List[str]]:
    """Group utterances of like length, the shortest first.

    Args:
        seconds: utterance -> its length.
        most: most seconds of a batch, each utterance as long as its longest.

    Example:
        >>> batches({"a": 9.0, "b": 2.0, "c": 3.0}, most=10.0)
        [['b', 'c'], ['a']]
    """
    found = []
    for utterance in sorted(seconds, key=seconds.get):
        if not found or (len(found[-1]) + 1) * seconds[utterance] > most:
            found.append([])
        found[-1].append(utterance)
    return found
