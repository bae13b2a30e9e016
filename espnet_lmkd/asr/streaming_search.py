"""Transducer search that goes on from one block of encoder outputs to the next."""

import dataclasses
from typing import Any, Dict

import torch
from espnet2.asr.transducer.beam_search_transducer import (
    BeamSearchTransducer,
    Hypothesis,
)

from espnet_lmkd.errors import InputError


class SearchStream:
    """ESPnet's greedy or default beam search, whose hypotheses outlive a block.

    Graves, "Sequence Transduction with Recurrent Neural Networks", 2012,
    arXiv:1211.3711, as ESPnet implements it: prefixes are not merged; greedy search
    (beam size 1) emits at most one token a frame and scores tokens only. The outputs
    may come in pieces of any size, and the result is that of `search` on all of them.

    Args:
        search: decoder, joint network, beam size and language model.

    Raises:
        InputError: another search than these two.
    """

    def __init__(self, search: BeamSearchTransducer):
        steps = {
            search.greedy_search: self._greedy,
            search.default_beam_search: self._beam,
        }
        if search.search_algorithm not in steps:
            raise InputError(
                f"the transducer search {search.search_algorithm.__name__} cannot "
                "stream; use beam_size: 1 or search_type: default"
            )
        self.search, self.step = search, steps[search.search_algorithm]
        search.decoder.set_device(next(search.decoder.parameters()).device)
        # A hypothesis holds the decoder's state before its last token.
        start = search.decoder.init_state(1)
        self.hyps = [Hypothesis(score=0.0, yseq=[search.blank_id], dec_state=start)]

    def __call__(self, encoder_out: torch.Tensor) -> Hypothesis:
        """Search on through (T, E) encoder outputs; return the best hypothesis so far.

        Without outputs the hypotheses stay as they are.
        """
        cache = {}  # of one block, so that memory does not grow with the utterance
        for encoder_out_t in encoder_out:
            self.step(encoder_out_t, cache)
        return self.search.sort_nbest(list(self.hyps))[0]

    def _log_probs(self, encoder_out_t, decoder_out) -> torch.Tensor:
        return self.search.joint_network(encoder_out_t, decoder_out).log_softmax(-1)

    def _greedy(self, encoder_out_t: torch.Tensor, cache: Dict[Any, Any]) -> None:
        """Append the likeliest token of one frame, if it is not blank."""
        hyp = self.hyps[0]
        decoder_out, state, _ = self.search.decoder.score(hyp, cache)
        log_prob, token = self._log_probs(encoder_out_t, decoder_out).max(-1)
        if int(token) != self.search.blank_id:
            score = hyp.score + float(log_prob)
            self.hyps = [Hypothesis(score, hyp.yseq + [int(token)], state)]

    def _beam(self, encoder_out_t: torch.Tensor, cache: Dict[Any, Any]) -> None:
        """Expand hypotheses until enough of those that end here lead all others."""
        search = self.search
        beam = min(search.beam_size, search.vocab_size)
        width = min(beam, search.vocab_size - 1)
        open_hyps, ended = self.hyps, []
        while True:
            best = max(range(len(open_hyps)), key=lambda i: self._rank(open_hyps[i]))
            hyp = open_hyps.pop(best)
            decoder_out, state, _ = search.decoder.score(hyp, cache)
            log_probs = self._log_probs(encoder_out_t, decoder_out)
            ended.append(
                dataclasses.replace(hyp, score=hyp.score + float(log_probs[0]))
            )
            lm_scores, lm_state = self._lm(hyp, cache)
            top = log_probs[1:].topk(width)
            for log_prob, token in zip(top.values.tolist(), (top.indices + 1).tolist()):
                score = hyp.score + log_prob
                if search.use_lm:
                    score += search.lm_weight * float(lm_scores[token])
                open_hyps.append(Hypothesis(score, hyp.yseq + [token], state, lm_state))
            lead = max(open_hyps, key=self._rank).score
            leaders = [hyp for hyp in ended if hyp.score > lead]
            if len(leaders) >= beam:
                self.hyps = sorted(leaders, key=lambda hyp: hyp.score)
                return

    def _rank(self, hyp: Hypothesis) -> float:
        """Return by which score the next hypothesis to expand is chosen."""
        norm = len(hyp.yseq) if self.search.score_norm_during else 1
        return hyp.score / norm

    def _lm(self, hyp: Hypothesis, cache: Dict[Any, Any]):
        """Return the language model's scores of the next token and its state."""
        if not self.search.use_lm:
            return None, None
        key = tuple(hyp.yseq)  # the decoder's keys in the same cache are strings
        if key not in cache:
            tokens = [self.search.sos, *hyp.yseq[1:]]
            tokens = torch.tensor(tokens, device=self.search.decoder.device)
            cache[key] = self.search.lm.score(tokens, hyp.lm_state, None)
        return cache[key]
