"""A transducer learns what a teacher says along the best path of its lattice."""

from typing import Dict, Mapping, Tuple

import torch
from torch.utils.checkpoint import checkpoint

from espnet_lmkd.alignment.lattice import gather_path
from espnet_lmkd.distillers.abs_distiller import AbsDistiller, StudentSpec
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.divergence import topk_rest_kl
from espnet_lmkd.padded import Padded

# Nodes whose logits may lie in memory at a time; more are computed twice.
AT_ONCE = 2**14


class OneBestPathDistiller(AbsDistiller):
    """Distil a transducer into another one at the nodes that its targets name.

    Yang, Li and Woodland, "Knowledge Distillation for Neural Transducers from Large
    Self-Supervised Pre-trained Models", ICASSP 2022, arXiv 2110.03334; reconstructed
    from its abstract and related work. Without parameters. States are gathered before
    the joint network, which thus runs on N nodes and not on T * U.

    L = sum_{(t,u) in path} KL(P_teacher(. | t, u) || P_student(. | t + delay, u))

    The teacher's classes beyond its k best are one class here, the rest. Nodes and
    classes are the targets' choice: all nodes of the lattice with the blank, the next
    label and the rest make the baseline of Panchapagesan et al., ICASSP 2021, arXiv
    2011.06110.

    Args:
        student: not used.
        delay: frames by which a streaming student lags behind its teacher, from 0;
            nodes that it would reach after its last frame are left out.

    Example:
        >>> student = StudentSpec(4, encoder_size=4, num_layers=2, sos=3, eos=3)
        >>> one, two = torch.tensor([1]), torch.tensor([2])
        >>> half = torch.full((1, 2, 1), 0.5).log()
        >>> loss, _ = OneBestPathDistiller(student)(
        ...     {
        ...         "encoder_out": Padded(torch.zeros(1, 1, 4), one),
        ...         "predictor_out": Padded(torch.zeros(1, 2, 4), two),
        ...         "joint_network": torch.add,
        ...     },
        ...     {
        ...         "teacher_path": Padded(torch.tensor([[[0, 0], [0, 1]]]), two),
        ...         "teacher_path_topk_ids": Padded(torch.tensor([[[2], [0]]]), two),
        ...         "teacher_path_topk_log_probs": Padded(half, two),
        ...     },
        ... )
        >>> loss  # 2 (log 2 - log(3) / 2)
        tensor([0.2877])
    """

    taps = ("encoder_out", "predictor_out", "joint_network")
    targets = ("teacher_path", "teacher_path_topk_ids", "teacher_path_topk_log_probs")
    default_weight = 0.3

    def __init__(self, student: StudentSpec, delay: int = 0):
        super().__init__()
        if delay < 0:
            raise InputError(f"one_best_path: delay must be 0 or more, not {delay}")
        self.delay = delay

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the nodes that count."""
        encoder_out, predictor_out, joint = (student[name] for name in self.taps)
        path, ids, log_probs = (teacher[name].trimmed() for name in self.targets)
        path_t, path_u = path.data[..., 0] + self.delay, path.data[..., 1]
        frames = encoder_out.lengths.to(path_t.device).unsqueeze(1)
        counted = path.mask & (path_t < frames)
        nodes = (
            path_t.masked_fill(~counted, 0),
            path_u.masked_fill(~counted, 0),
            ids.data.masked_fill(~counted.unsqueeze(2), -1),
            log_probs.data,
        )

        def compare(path_t, path_u, ids, log_probs):
            states = gather_path(encoder_out.data, predictor_out.data, path_t, path_u)
            logits = joint(*states)
            best = log_probs.masked_fill(ids < 0, -torch.inf).argmax(-1, keepdim=True)
            with torch.no_grad():
                its_score = logits.gather(-1, ids.gather(-1, best).clamp(min=0))
                agrees = its_score.squeeze(-1) == logits.amax(-1)
            return topk_rest_kl(logits, ids, log_probs), agrees

        step = AT_ONCE // len(path_t) + 1
        pieces = list(zip(*(part.split(step, dim=1) for part in nodes)))
        if len(pieces) == 1:
            divergences, agrees = compare(*pieces[0])
        else:
            found = [checkpoint(compare, *p, use_reentrant=False) for p in pieces]
            divergences, agrees = (torch.cat(parts, dim=1) for parts in zip(*found))
        losses = (divergences * counted).sum(1)

        with torch.no_grad():
            given, count = path.lengths.sum(), counted.sum()
            stats = {
                "kl": losses.sum() / count.clamp(min=1),
                "agreement": (agrees & counted).sum() / count.clamp(min=1),
                "nodes_dropped": (given - count) / given.clamp(min=1),
                "without_targets": (path.lengths == 0).sum().float(),
            }
        return losses, stats
