"""Decoder of CIF recognisers: a token vector for each fire, no cross-attention."""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Tuple

import torch
from espnet2.asr.decoder.abs_decoder import AbsDecoder

from espnet_lmkd.alignment.cif import integrate_and_fire
from espnet_lmkd.asr.compat import (
    BatchScorerInterface,
    EncoderLayer,
    LayerNorm,
    MultiHeadedAttention,
    PositionalEncoding,
    PositionwiseFeedForward,
)
from espnet_lmkd.padded import Padded


class Fired(NamedTuple):
    """What an integrator found.

    Args:
        vectors: (B, U, D) one for each token, and their lengths.
        weights: (B, T) float32, before any scaling, 0 at padding.
        boundaries: (B, U) frames at which the tokens end.
    """

    vectors: Padded
    weights: torch.Tensor
    boundaries: torch.Tensor


class Integrator(torch.nn.Module):
    """Weigh the frames of an encoder and fire a vector for each token.

    alpha_t = sigmoid(Linear(Dropout(ReLU(Conv1d(h)))))_t

    Args:
        size: D.
        kernel: frames that the convolution sees, odd.
        dropout_rate: in 0..1.
        tail_threshold: what is left at the end of an utterance fires above it.
    """

    def __init__(
        self, size: int, kernel: int, dropout_rate: float, tail_threshold: float
    ):
        super().__init__()
        self.conv = torch.nn.Conv1d(size, size, kernel, padding=kernel // 2)
        self.dropout = torch.nn.Dropout(dropout_rate)
        self.linear = torch.nn.Linear(size, 1)
        self.tail_threshold = tail_threshold

    def forward(
        self, encoder_out: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Fired:
        """Integrate (B, T, D) frames.

        Args:
            encoder_out: (B, T, D).
            token_lengths: (B,) how many vectors to make, eos included; by default as
                many as fire.
        """
        mask = encoder_out.mask
        states = encoder_out.data.masked_fill(~mask.unsqueeze(2), 0.0)
        hidden = self.conv(states.transpose(1, 2)).transpose(1, 2).relu()
        weights = self.linear(self.dropout(hidden)).squeeze(2).float().sigmoid()
        weights = weights.masked_fill(~mask, 0.0)
        vectors, lengths, boundaries = integrate_and_fire(
            states, weights, encoder_out.lengths, token_lengths, self.tail_threshold
        )
        return Fired(Padded(vectors.to(states.dtype), lengths), weights, boundaries)


@dataclass(frozen=True)  # ESPnet 202611 rebuilds tuples, but not as named ones
class DecoderState:
    """A hypothesis of a beam search.

    Args:
        vectors: (U, D) of the utterance, shared by all its hypotheses; without token
            history (U, V), their log-probabilities.
        caches: (n, D) output of each layer for the n tokens so far.
    """

    vectors: torch.Tensor
    caches: Tuple[torch.Tensor, ...]


class CIFDecoder(AbsDecoder, BatchScorerInterface):
    """Continuous integrate-and-fire with a decoder on its vectors: `decoder: lmkd_cif`.

    Han, Chen, Shi, Xu, Xu, "Knowledge Transfer from Pre-trained Language Models to
    Cif-based Speech Recognizers via Hierarchical Distillation", Interspeech 2023, arXiv
    2301.13003. In training exactly one vector a token and one for eos is integrated; in
    recognition as many as fire, and no hypothesis is longer. Wants `model: lmkd`, which
    adds the quantity loss.

    c = integrate_and_fire(h, alpha),  x_u = W_x [sqrt(D) Emb(y_{u-1}); c_{u-1}] + pos_u
    g = causal layers(x),  s_u = W_s [g_u; c_u],  log P(y_u) = log softmax(W s_u)

    Without token history (`autoregressive: false`, ours) x_u = W_x c_u + pos_u and the
    layers see all vectors: all tokens of an utterance are recognised at once.

    Args:
        vocab_size: V.
        encoder_output_size: D.
        attention_heads, linear_units, num_blocks: of the layers.
        dropout_rate: of layers and positions.
        weight_kernel: frames that the weight predictor sees.
        weight_dropout_rate: of the weight predictor.
        quantity_weight: weight of |sum_t alpha_t - U| beside the cross-entropy.
        tail_threshold: what is left at the end of an utterance fires above it.
        autoregressive: whether the decoder sees the tokens before.
        eos: id of the end of a sentence, by default V - 1.
    """

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        attention_heads: int = 4,
        linear_units: int = 2048,
        num_blocks: int = 2,
        dropout_rate: float = 0.1,
        weight_kernel: int = 3,
        weight_dropout_rate: float = 0.2,
        quantity_weight: float = 1.0,
        tail_threshold: float = 0.5,
        autoregressive: bool = True,
        eos: Optional[int] = None,
    ):
        super().__init__()
        size = encoder_output_size
        self.integrator = Integrator(
            size, weight_kernel, weight_dropout_rate, tail_threshold
        )
        self.quantity_weight = quantity_weight
        self.autoregressive = autoregressive
        self.eos = vocab_size - 1 if eos is None else eos
        self.embed = torch.nn.Embedding(vocab_size, size) if autoregressive else None
        self.input_layer = torch.nn.Linear(size * (1 + autoregressive), size)
        self.position = PositionalEncoding(size, dropout_rate)
        self.position.xscale = 1.0  # the embedding alone is scaled
        self.layers = torch.nn.ModuleList(
            EncoderLayer(
                size,
                MultiHeadedAttention(attention_heads, size, dropout_rate),
                PositionwiseFeedForward(size, linear_units, dropout_rate),
                dropout_rate,
            )
            for _ in range(num_blocks)
        )
        self.after_norm = LayerNorm(size)
        self.state_layer = torch.nn.Linear(2 * size, size)
        self.output_layer = torch.nn.Linear(size, vocab_size)
        self.quantity_losses = None

    def forward(
        self,
        hs_pad: torch.Tensor,
        hlens: torch.Tensor,
        ys_in_pad: torch.Tensor,
        ys_in_lens: torch.Tensor,
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, U, V) and lengths; keep `quantity_losses` (B,).

        Args:
            hs_pad: (B, T, D) encoder output.
            hlens: (B,) its lengths.
            ys_in_pad: (B, U) tokens after sos.
            ys_in_lens: (B,) their lengths with sos.
        """
        fired = self.integrator(Padded(hs_pad, hlens), ys_in_lens)
        self.quantity_losses = (fired.weights.sum(1) - ys_in_lens).abs()
        tokens = Padded(ys_in_pad, ys_in_lens)
        return self._logits(fired.vectors.data, tokens), ys_in_lens

    def _logits(self, vectors: torch.Tensor, tokens: Padded) -> torch.Tensor:
        states = self._inputs(vectors, tokens.data)
        mask = tokens.mask.unsqueeze(1)
        if self.autoregressive:
            mask = mask & _causal(states)
        for layer in self.layers:
            states, mask = layer(states, mask)
        return self._output(states, vectors)

    def _inputs(self, vectors: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        if not self.autoregressive:
            return self.position(self.input_layer(vectors))
        embedded = self.embed(tokens) * vectors.shape[2] ** 0.5
        before = torch.nn.functional.pad(vectors, (0, 0, 1, -1))
        return self.position(self.input_layer(torch.cat([embedded, before], dim=2)))

    def _output(self, states: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        states = torch.cat([self.after_norm(states), vectors], dim=-1)
        return self.output_layer(self.state_layer(states))

    @torch.no_grad()
    def parallel_decode(self, encoder_out: Padded) -> List[Tuple[List[int], float]]:
        """Recognise all tokens at once, up to eos; without `autoregressive` only.

        Returns:
            The tokens of each utterance and the log-probability of them and of eos.
        """
        vectors = self.integrator(encoder_out).vectors
        if not vectors.data.shape[1]:
            return [([], 0.0) for _ in vectors.lengths]
        scores, best = self._logits(vectors.data, vectors).log_softmax(2).max(2)
        scores = scores.cumsum(1)
        found = []
        for index, length in enumerate(vectors.lengths.tolist()):
            ids = best[index, :length].tolist()
            end = (ids + [self.eos]).index(self.eos)
            scored = min(end + 1, length)
            score = float(scores[index, scored - 1]) if scored else 0.0
            found.append((ids[:end], score))
        return found

    def score(
        self, ys: torch.Tensor, state: Optional[DecoderState], x: torch.Tensor
    ) -> Tuple[torch.Tensor, DecoderState]:
        """Return the log-probabilities (V,) of the token after `ys` (n,)."""
        scores, states = self.batch_score(ys.unsqueeze(0), [state], x.unsqueeze(0))
        return scores[0], states[0]

    @torch.no_grad()
    def batch_score(
        self,
        ys: torch.Tensor,
        states: List[Optional[DecoderState]],
        xs: torch.Tensor,
        xs_mask: Optional[torch.Tensor] = None,
    ) -> Tuple[torch.Tensor, List[DecoderState]]:
        """Score the next tokens of several hypotheses, of one or more utterances.

        Args:
            ys: (N, n) tokens with sos.
            states: of each hypothesis, None at the first token.
            xs: (N, T, D) encoder output.
            xs_mask: (N, 1, T) True at its valid frames.

        Returns:
            (N, V) log-probabilities, of eos alone where no vector is left, and states.
        """
        if states[0] is None:
            states = self._first_states(xs, xs_mask)
        position = ys.shape[1] - 1
        left = torch.tensor([position < len(state.vectors) for state in states])
        rows = left.nonzero()[:, 0].tolist()
        shape = len(ys), self.output_layer.out_features
        scores = xs.new_full(shape, never(xs.dtype))
        scores[:, self.eos] = 0.0
        if not rows:
            return scores, states
        active = [states[row] for row in rows]
        vectors = torch.stack([state.vectors[: position + 1] for state in active])
        if not self.autoregressive:
            scores[rows] = vectors[:, -1]
            return scores, states
        values, caches = self._inputs(vectors, ys[rows]), []
        for index, layer in enumerate(self.layers):
            cache = torch.stack([state.caches[index] for state in active])
            values, _ = layer(values, None, cache)
            caches.append(values)
        logits = self._output(values[:, -1], vectors[:, -1])
        scores[rows] = logits.log_softmax(1)
        states = list(states)
        for row, state, *of_layers in zip(rows, active, *caches):
            states[row] = DecoderState(state.vectors, tuple(of_layers))
        return scores, states

    def _first_states(self, xs, xs_mask):
        if xs_mask is None:
            lengths = torch.full((len(xs),), xs.shape[1], device=xs.device)
        else:
            lengths = xs_mask.sum(2)[:, 0]
        vectors = self.integrator(Padded(xs, lengths)).vectors
        data = vectors.data
        if not self.autoregressive and data.shape[1]:
            data = self._logits(data, vectors).log_softmax(2)
        caches = tuple(xs[0, :0] for _ in self.layers)
        return [
            DecoderState(row[:length], caches)
            for row, length in zip(data, vectors.lengths.tolist())
        ]


def never(dtype: torch.dtype) -> float:
    """Return a log-probability that any hypothesis beats, and no nan when weighted."""
    return max(-1e10, torch.finfo(dtype).min / 2)  # float16: room for other scores


def _causal(states: torch.Tensor) -> torch.Tensor:
    length = states.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=states.device).tril()
