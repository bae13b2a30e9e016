"""Continuous integrate-and-fire: frames to tokens by weights that add up to 1 a token.

The running sum of the weights is an axis. Frames cut it at C_1 <= C_2 <= ..., tokens at
1, 2, ... What lies between two cuts, a segment, is the share of one frame in one token.
There are T + U of them, and their order is that of frames and of tokens alike.
"""

from itertools import accumulate
from typing import List, NamedTuple, Optional, Tuple

import torch
from torch.nn.functional import embedding_bag

from espnet_lmkd.alignment.cif_inputs import check_shapes, find_wrong, read_lengths

PART = 256  # frames that are added up at once


class CifOutput(NamedTuple):
    """What `integrate_and_fire` returns.

    Args:
        vectors: (B, U, D) in the dtype of the hidden states, 0 beyond the last token.
        lengths: (B,) int64, the number of tokens.
        boundaries: (B, U) float32, the time in frames, from 0 to T, at which a token
            ends and the next begins; no gradient; 0 beyond the last token.
    """

    vectors: torch.Tensor
    lengths: torch.Tensor
    boundaries: torch.Tensor


def integrate_and_fire(
    hidden: torch.Tensor,
    alpha: torch.Tensor,
    lengths: Optional[torch.Tensor] = None,
    target_lengths: Optional[torch.Tensor] = None,
    tail_threshold: float = 0.5,
) -> CifOutput:
    """Add up frames to one vector for each unit of weight.

    Dong and Xu, "CIF: Continuous Integrate-and-Fire for End-to-End Speech Recognition",
    ICASSP 2020, arXiv 1905.11235. Here a frame may end any number of tokens, and the
    last frame ends the last token whatever rounding does, so that the number of tokens
    is always the wanted one.

    c_u = sum_t w(u, t) h_t,  w(u, t) = length of [C_{t-1}, C_t] within [u-1, u],
    C_t = a_1 + ... + a_t, multiplied by U / (a_1 + ... + a_T) where U is given

    Without target lengths there is a token for each whole unit of weight and one for
    what remains if that reaches the threshold; the vector of such a tail is not scaled.

    Args:
        hidden: (B, T, D) h, of any floating dtype; sums are float32 or float64 inside.
        alpha: (B, T) a >= 0. Where all of an utterance are 0 and a target length is
            given, its frames weigh the same.
        lengths: (B,) valid frames, 0..T; all T if None. Padding may hold anything.
        target_lengths: (B,) the number U of tokens, from 0.
        tail_threshold: above 0; above 1 no tail becomes a token.

    Returns:
        `CifOutput`; the gradient of its vectors reaches hidden and alpha. On CUDA the
        host waits for the device once, to learn lengths and U, by which the outputs are
        laid out; not at all if both are given and lie on the CPU.

        A weight that is negative or not finite makes all vectors of its utterance nan
        on CUDA, where the host does not wait to see it: a trainer that looks at the
        gradients skips the step. A frame of hidden that is not finite makes its tokens
        so, and the next one, too, if one ends where the frame does (0 times nan).

    Raises:
        InputError: shapes, lengths or the threshold do not fit, tokens are wanted of no
            frames, on the CPU a weight is negative or not finite.

    Example:
        >>> hidden = torch.tensor([[[1.0], [2.0], [4.0]]])
        >>> alpha = torch.tensor([[0.5, 1.0, 0.5]])
        >>> output = integrate_and_fire(hidden, alpha)
        >>> output.vectors.flatten(), output.boundaries
        (tensor([1.5000, 3.0000]), tensor([[1.5000, 3.0000]]))
        >>> integrate_and_fire(hidden, alpha, target_lengths=torch.tensor([1])).vectors
        tensor([[[2.2500]]])
    """
    check_shapes(hidden, alpha, lengths, target_lengths, tail_threshold)
    longest, device = alpha.shape[1], alpha.device
    if lengths is None:
        lengths = torch.full(alpha.shape[:1], longest)
    on_device = lengths.to(device, non_blocking=True).unsqueeze(1)
    mask = torch.arange(longest, device=device) < on_device
    weights = torch.where(mask, alpha.double(), 0.0)
    wrong = find_wrong(weights.detach())
    if wrong is not None:  # kept from the places, which they would lead out of bounds
        weights = weights.masked_fill(wrong, 0.0)
    cuts = weights.cumsum(1)
    totals = cuts[:, -1:]
    numbers = target_lengths
    if numbers is None:
        reached = totals.detach().squeeze(1)
        numbers = (reached.floor() + (reached.frac() >= tail_threshold)).long()
    frames, tokens = read_lengths(lengths, numbers, longest)
    if target_lengths is not None:
        cuts = torch.where(totals == 0, mask, weights).cumsum(1)
        # An utterance without frames has no weight even then.
        cuts = cuts / cuts[:, -1:].clamp(min=torch.finfo(cuts.dtype).tiny)
        cuts = cuts * _column(tokens, device)
    segments, boundaries = _cut(cuts.detach(), frames, tokens)
    if wrong is not None:
        of_wrong = wrong.flatten()[segments.frames // longest]
        widths = segments.widths.masked_fill(of_wrong, torch.nan)
        segments = segments._replace(widths=widths)
    vectors = _WeightedSum.apply(hidden, cuts, segments)
    return CifOutput(vectors, _column(tokens, device).squeeze(1), boundaries)


class _Segments(NamedTuple):
    """N segments in order, with frames as rows of (B * T), tokens as rows of (B * U).

    Args:
        widths, frames, tokens: (N,) width, frame and token of each segment.
        frame_starts, token_starts: (B * T,) and (B * U,) first segment of each.
        before, after: (B, T) the segment that ends with a frame, and the next one of
            the utterance; N where there is none or its width is fixed.
    """

    widths: torch.Tensor
    frames: torch.Tensor
    tokens: torch.Tensor
    frame_starts: torch.Tensor
    token_starts: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor


def _cut(
    cuts: torch.Tensor, lengths: List[int], targets: List[int]
) -> Tuple[_Segments, torch.Tensor]:
    """Return segments, utterance after utterance, and boundaries.

    Frames end at `cuts` (B, T), tokens at 1, 2, ... and the last one no later than the
    frames; what lies beyond is nobody's.
    """
    lengths = [t if u else 0 for t, u in zip(lengths, targets)]
    numbers = (t + u - 1 if u else 0 for t, u in zip(lengths, targets))
    stops = list(accumulate(numbers))
    firsts, total, most = [0, *stops[:-1]], stops[-1], max(targets)
    lengths, tokens, firsts, stops = (
        _column(x, cuts.device) for x in (lengths, targets, firsts, stops)
    )
    utterances = torch.arange(len(cuts), device=cuts.device).unsqueeze(1)
    frames = torch.arange(cuts.shape[1], device=cuts.device)
    units = torch.arange(most, device=cuts.device)
    is_frame, is_token = frames < lengths, units < tokens

    ends = cuts.cummax(1).values  # on CUDA running sums may fall, or rise by zeros
    ended = ends.long().minimum(tokens - 1)  # tokens before the end of a frame
    goals = (units + 1).minimum(ends[:, -1:])
    at = torch.searchsorted(ends, goals)  # the frame in which a token ends

    # A segment ends with its token or its frame; where both end, the token does first.
    frame_slots = (firsts + frames + ended).where(is_frame, total)
    token_slots = (firsts + units + at).where(units < tokens - 1, total)
    slots = torch.cat([frame_slots, token_slots], dim=1).flatten()

    def in_order(of_frames, of_tokens):
        """Sort what belongs to the segments that end with a frame or with a token."""
        values = torch.cat([of_frames, of_tokens], dim=1).flatten()
        return values.new_zeros(total + 1).scatter_(0, slots, values)

    def starts(last_slots, is_valid):
        """Find the first segments of frames or tokens from their last ones."""
        after = torch.cat([firsts, last_slots[:, :-1] + 1], dim=1)
        return after.where(is_valid, stops)

    rights = in_order(ends.minimum(tokens), goals)
    lefts = rights.roll(1).index_fill_(0, firsts.flatten(), 0.0)
    inside = ends <= tokens
    first_frame, first_token = utterances * len(frames), utterances * most
    segments = _Segments(
        (rights - lefts)[:-1],
        in_order(first_frame + frames, first_frame + at)[:-1],
        in_order(first_token + ended, first_token + units)[:-1],
        starts(frame_slots, is_frame).flatten(),
        starts(token_slots, is_token).flatten(),
        frame_slots.where(inside, total),
        (frame_slots + 1).where(inside & (frames < lengths - 1), total),
    )
    begins = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], dim=1)
    begin, end = begins.gather(1, at), ends.gather(1, at)
    times = (at + (goals - begin) / (end - begin)).minimum(lengths)
    return segments, torch.where(is_token, times, 0.0).float()


class _WeightedSum(torch.autograd.Function):
    """c_u = sum of width * h_t over the segments of u, and back along the same list.

    A cut moves width between the segments beside it:
    d L / d C_t = <h_t, d L / d c_u> of the one before - the same of the one after
    """

    @staticmethod
    def forward(ctx, hidden, cuts, segments):
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        segments = segments._replace(widths=segments.widths.to(dtype))
        ctx.save_for_backward(hidden, *segments)
        vectors = _sum_of_tokens(_rows(hidden, dtype), segments, hidden.shape[1])
        return vectors.view(len(hidden), -1, hidden.shape[2]).to(hidden.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        hidden, *segments = ctx.saved_tensors
        segments = _Segments(*segments)
        dtype = segments.widths.dtype
        grad = _rows(grad, dtype)
        hidden_grad = embedding_bag(
            segments.tokens,
            grad,
            segments.frame_starts,
            per_sample_weights=segments.widths,
            mode="sum",
        )
        # One product a segment; no (N, D) of frames or tokens comes to be.
        products = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            grad,
            _rows(hidden, dtype),
            segments.frames,
            segments.token_starts,
            segments.tokens,
            mode=0,  # "sum"
        )
        products = torch.nn.functional.pad(products.double(), (0, 1))
        cuts_grad = products[segments.before] - products[segments.after]
        return hidden_grad.to(hidden.dtype).view_as(hidden), cuts_grad, None


def _sum_of_tokens(rows, segments, longest):
    """Return (B * U, D) sums of width * row over the segments of each token.

    A float32 sum of n rows is off by about sqrt(n) roundings: tokens of more than PART
    frames are added up in parts, whatever else is in the batch.
    """
    starts = segments.token_starts
    if longest > PART:
        total, device = len(segments.frames), starts.device
        sizes = starts.diff(append=starts.new_full((1,), total))
        more = ((sizes - 1) // PART).clamp(min=0)
        firsts = torch.arange(len(starts), device=device) + more.cumsum(0) - more
        parts = torch.arange(len(starts) + total // PART, device=device)  # not less
        owners = torch.searchsorted(firsts, parts, right=True) - 1
        starts = starts[owners] + (parts - firsts[owners]) * PART
        starts = starts.clamp(max=total)
    sums = embedding_bag(
        segments.frames, rows, starts, per_sample_weights=segments.widths, mode="sum"
    )
    return embedding_bag(parts, sums, firsts, mode="sum") if longest > PART else sums


def _rows(states: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(B, T, D) as rows (B * T, D), contiguous for the fast path of embedding_bag."""
    return states.reshape(-1, states.shape[2]).to(dtype).contiguous()


def _column(numbers: List[int], device: torch.device) -> torch.Tensor:
    """(B, 1) on the device, without a wait for it."""
    return torch.tensor(numbers).unsqueeze(1).to(device, non_blocking=True)
