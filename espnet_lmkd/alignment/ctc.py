"""Which frame emits which token: the best CTC path of a given text."""

from typing import Tuple

import torch

from espnet_lmkd.padded import Padded


@torch.no_grad()
def ctc_align(
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    text: torch.Tensor,
    text_lengths: torch.Tensor,
    blank: int = 0,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Find the most probable CTC path of each text, by Viterbi on a whole batch.

    Graves et al., "Connectionist Temporal Classification", ICML 2006, with max for sum.
    A loop over frames, vectorised over utterances and states; no gradient.

    argmax_pi sum_t log_probs[t, pi_t],  pi without repetitions and blanks = text

    Args:
        log_probs: (B, T, V) scores of the frames; logits will do, since a constant a
            frame changes no path. Float64 stays, anything else counts in float32.
        lengths: (B,) valid frames, 0..T.
        text: (B, L) tokens other than blank; padding may hold anything.
        text_lengths: (B,) valid tokens, 0..L.
        blank: its id, 0..V-1.

    Returns:
        (B, T) int64, the position u in the text of the token that a frame emits, -1 for
        blank and padding; and (B,) bool, False where no path exists because tokens and
        repeated neighbours outnumber the frames, or a score is not finite: all is -1.

    Example:
        >>> scores = torch.tensor([[[0.0, 2.0], [0.0, 1.0], [3.0, 0.0], [0.0, 2.0]]])
        >>> ctc_align(
        ...     scores, torch.tensor([4]), torch.tensor([[1, 1]]), torch.tensor([2])
        ... )
        (tensor([[ 0,  0, -1,  1]]), tensor([True]))
    """
    batch, frames, _ = log_probs.shape
    text_lengths = text_lengths.to(text.device)
    # States: blank, token 0, blank, token 1, ..., blank.
    labels = text.new_full((batch, 2 * text.shape[1] + 1), blank)
    labels[:, 1::2] = text.masked_fill(~Padded(text, text_lengths).mask, blank)
    scores = log_probs.gather(2, labels.unsqueeze(1).expand(-1, frames, -1))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # Padded frames, and one more for all, only rest on a blank: every path ends on the
    # one after the last token.
    rest = scores.new_zeros(labels.shape[1])
    rest[1::2] = -torch.inf
    valid = Padded(log_probs, lengths).mask
    scores = torch.where(valid.unsqueeze(2), scores, rest)
    scores = torch.nn.functional.pad(scores, (0, 0, 0, 1))
    scores[:, frames] = rest

    # From s-2, s-1 or s; from s-2 only to a token that differs from the one before.
    entry = scores.new_zeros(*labels.shape, 3)
    entry[:, 2:, 0].masked_fill_(labels[:, 2:] == labels[:, :-2], -torch.inf)
    best = scores.new_full((batch, labels.shape[1] + 2), -torch.inf)
    best[:, 2] = 0.0
    moves = torch.empty(
        (frames + 1, *labels.shape), dtype=torch.uint8, device=scores.device
    )
    for frame in range(frames + 1):
        reached, moves[frame] = (best.unfold(1, 3, 1) + entry).max(-1)
        best[:, 2:] = reached + scores[:, frame]

    state = 2 * text_lengths.unsqueeze(1)
    aligned = best.gather(1, state + 2).isfinite()
    moves = (2 - moves) * aligned  # where there is no path, moves lead anywhere
    path = []
    for move in moves.flip(0):
        path.append(state)
        state = state - move.gather(1, state)
    path = torch.cat(path[::-1], dim=1)[:, :frames]
    emits = aligned & (path % 2 == 1)
    return (path // 2).masked_fill(~emits, -1), aligned.squeeze(1)


def token_means(
    frames: torch.Tensor, positions: torch.Tensor, length: int
) -> torch.Tensor:
    """Average the frames that emit each token.

    m_u = mean_{t: positions_t = u} frames_t

    Args:
        frames: (B, T, D).
        positions: (B, T) of `ctc_align`, -1 for frames that count for no token.
        length: L, tokens to return; positions beyond are dropped.

    Returns:
        (B, L, D) float32, 0 for a token without a frame.

    Example:
        >>> frames = torch.tensor([[[1.0], [3.0], [9.0], [5.0]]])
        >>> token_means(frames, torch.tensor([[0, 0, -1, 1]]), 3)
        tensor([[[2.],
                 [5.],
                 [0.]]])
    """
    tokens = torch.arange(length, device=positions.device).unsqueeze(1)
    shares = (positions.unsqueeze(1) == tokens).float()
    shares = shares / shares.sum(-1, keepdim=True).clamp(min=1)
    with torch.autocast(frames.device.type, enabled=False):
        return shares @ frames.float()


def token_windows(
    logits: Padded, text: Padded, radius: int, blank: int = 0
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Mark the frames that emit each token on the best CTC path, and those near them.

    w_u(t) = 1 if |t - t'| <= radius for a frame t' that emits token u, else 0

    Args:
        logits: (B, T, V) scores of the frames.
        text: (B, L) tokens other than blank.
        radius: frames, from 0.
        blank: its id, 0..V-1.

    Returns:
        (B, L, T) float32 zeros and ones, all 0 for padding; and (B,) bool, False where
        there is no path, see `ctc_align`.

    Example:
        >>> logits = torch.tensor([[[0.0, 2.0], [3.0, 0.0], [3.0, 0.0], [3.0, 0.0]]])
        >>> logits = Padded(logits, torch.tensor([4]))
        >>> token_windows(logits, Padded(torch.tensor([[1]]), torch.tensor([1])), 1)
        (tensor([[[1., 1., 0., 0.]]]), tensor([True]))
    """
    positions, aligned = ctc_align(
        logits.data, logits.lengths, text.data, text.lengths, blank
    )
    tokens = torch.arange(text.data.shape[1], device=positions.device).unsqueeze(1)
    emits = (positions.unsqueeze(1) == tokens).float()
    # Tokens as a batch, since there may be none of them.
    near = torch.nn.functional.max_pool1d(
        emits.flatten(0, 1).unsqueeze(1), 2 * radius + 1, 1, padding=radius
    )
    return near.view_as(emits) * logits.mask.unsqueeze(1), aligned
