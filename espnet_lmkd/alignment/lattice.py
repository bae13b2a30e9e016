"""Paths through a transducer's lattice: nodes (t, u), frame t after u labels.

A blank leads from (t, u) to (t+1, u), a label from (t, u) to (t, u+1). A path is thus
fixed by the frames s_0 <= s_1 <= ... <= s_{L-1} at which its labels are emitted.
"""

from typing import Tuple

import torch

from espnet_lmkd.padded import Padded

# Stands for minus infinity: sums and differences of it remain numbers.
IMPOSSIBLE = -1e6


def emission_scores(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Give every path of a lattice the sum of one score for each of its labels.

    log P(path) = base + sum_u w(s_u, u)
    w(t, u) = label(t, u) + sum_{r<t} [blank(r, u) - blank(r, u+1)]

    Moving a label from frame t to t+1 trades a blank behind it for one before it.
    Labels beyond an utterance's last one are emitted at its last frame with score 0 and
    frames beyond its last one emit nothing, so that all utterances end at one node.

    Args:
        blank_scores: (B, T, U) log-scores of the blank at each node, U = L + 1.
        label_scores: (B, T, L) log-scores of the next label at each node.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.

    Returns:
        w, (L, B, T), and base, (B,), both float64 since the sums of blanks cancel.

    Example:
        >>> blanks = torch.tensor([[[-1.0, -2], [-3, -4]]])
        >>> w, base = emission_scores(
        ...     blanks, torch.zeros(1, 2, 1), torch.tensor([2]), torch.tensor([1])
        ... )
        >>> w.tolist(), base.tolist()
        ([[[0.0, 1.0]]], [-6.0])
    """
    blanks = blank_scores.detach().double().clamp(min=IMPOSSIBLE).permute(2, 0, 1)
    labels = label_scores.detach().double().clamp(min=IMPOSSIBLE).permute(2, 0, 1)
    logit_lengths = logit_lengths.to(blanks.device)
    target_lengths = target_lengths.to(blanks.device)
    until = blanks.cumsum(-1)
    before = until - blanks
    scores = labels + before[:-1] - before[1:]
    no_label = ~Padded(label_scores[:, 0], target_lengths).mask.T
    scores.masked_fill_(no_label.unsqueeze(2), 0.0)
    frames = torch.arange(blanks.shape[2], device=blanks.device)
    last = (logit_lengths - 1).unsqueeze(1)
    scores.masked_fill_(frames > last, -torch.inf)
    scores.masked_fill_(no_label.unsqueeze(2) & (frames < last), -torch.inf)
    utterances = torch.arange(blanks.shape[1], device=blanks.device)
    return scores, until[target_lengths, utterances, logit_lengths - 1]


@torch.no_grad()
def best_path(
    blank_scores: torch.Tensor,
    label_scores: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Find the most probable path of the labels through the lattice (Viterbi).

    Yang, Li and Woodland, "Knowledge Distillation for Neural Transducers from Large
    Self-Supervised Pre-trained Models", ICASSP 2022, arXiv 2110.03334.

    argmax_{s_0 <= ... <= s_{L-1}} log P(path),  one running maximum over T a label

    Args:
        blank_scores: (B, T, U) log-scores of the blank at each node, U = L + 1.
        label_scores: (B, T, L) log-scores of the next label at each node.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.

    Returns:
        path_t, path_u and path_lengths as of `path_of_hypothesis`.

    Example:
        >>> blanks = torch.tensor([[[-1.0, -1], [-2, -1]]])
        >>> labels = torch.tensor([[[-3.0], [-1]]])
        >>> best_path(blanks, labels, torch.tensor([2]), torch.tensor([1]))
        (tensor([[0, 1, 1]]), tensor([[0, 0, 1]]), tensor([3]))
    """
    scores, _ = emission_scores(
        blank_scores, label_scores, logit_lengths, target_lengths
    )
    best, sources = torch.zeros_like(blank_scores[..., 0], dtype=torch.double), []
    for score in scores:
        best, source = (best + score).cummax(-1)
        sources.append(source)
    frame = best.new_full((len(best), 1), best.shape[1] - 1, dtype=torch.long)
    frames = [frame[:, :0]]
    for source in sources[::-1]:
        frame = source.gather(1, frame)
        frames.append(frame)
    emission_frames = torch.cat(frames[::-1], dim=1)
    return path_of_hypothesis(emission_frames, logit_lengths, target_lengths)


def path_of_hypothesis(
    emission_frames: torch.Tensor,
    logit_lengths: torch.Tensor,
    target_lengths: torch.Tensor,
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Write out the nodes of the path that emits its labels at given frames.

    label u leaves node number s_u + u;  node i has u = #{v: s_v + v < i}, t = i - u

    Args:
        emission_frames: (B, L) frame s_u at which a search emitted label u, not
            decreasing; padding may hold anything.
        logit_lengths: (B,) valid frames, 1..T.
        target_lengths: (B,) valid labels, 0..L.

    Returns:
        path_t and path_u, (B, N) int64, the nodes from (0, 0) on in order, -1 beyond an
        utterance's last one; and path_lengths, (B,), one node for each frame and label.

    Example:
        >>> path_of_hypothesis(
        ...     torch.tensor([[1, 1]]), torch.tensor([2]), torch.tensor([2])
        ... )
        (tensor([[0, 1, 1, 1]]), tensor([[0, 0, 1, 2]]), tensor([4]))
    """
    device = emission_frames.device
    path_lengths = logit_lengths.to(device) + target_lengths.to(device)
    nodes = torch.arange(int(path_lengths.max()), device=device)
    labels = Padded(emission_frames, target_lengths).mask
    leaving = emission_frames + torch.arange(labels.shape[1], device=device)
    # Padding leaves after the last node.
    leaving = leaving.masked_fill(~labels, len(nodes))
    nodes = nodes.expand(len(labels), -1).contiguous()
    path_u = torch.searchsorted(leaving, nodes)
    beyond = ~Padded(nodes, path_lengths).mask
    path_t = (nodes - path_u).masked_fill(beyond, -1)
    return path_t, path_u.masked_fill(beyond, -1), path_lengths


def gather_path(
    encoder_out: torch.Tensor,
    predictor_out: torch.Tensor,
    path_t: torch.Tensor,
    path_u: torch.Tensor,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Take the states at the nodes of a path, for a joint network on these alone.

    (h_{t_i}, g_{u_i}) for each node i: N joint outputs instead of T * U

    Args:
        encoder_out: (B, T, D).
        predictor_out: (B, U, E).
        path_t: (B, N) frames in 0..T-1; -1 (padding) gives a state without a meaning.
        path_u: (B, N) positions in 0..U-1, likewise.

    Returns:
        (B, N, D) and (B, N, E); gradients flow to the states.

    Example:
        >>> states = torch.tensor([[[5.0], [6.0]]])
        >>> gather_path(states, states, torch.tensor([[0, 1]]), torch.tensor([[0, 0]]))
        (tensor([[[5.],
                 [6.]]]), tensor([[[5.],
                 [5.]]]))
    """

    def at(states, positions):
        positions = positions.clamp(min=0).unsqueeze(2)
        return states.gather(1, positions.expand(-1, -1, states.shape[2]))

    return at(encoder_out, path_t), at(predictor_out, path_u)
