"""A CIF student's token vectors learn to find a language model's own embeddings."""

from typing import Dict, Mapping, Optional, Tuple

import torch
from torch import distributed

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.abs_hidden_distiller import AbsHiddenDistiller
from espnet_lmkd.losses.contrastive import contrastive_loss, sample_negatives
from espnet_lmkd.padded import Padded


class AcousticContrastiveDistiller(AbsHiddenDistiller):
    """Distil a language model's embeddings into what a CIF student integrates.

    Han, Chen, Shi, Xu, Xu, "Knowledge Transfer from Pre-trained Language Models to
    Cif-based Speech Recognizers via Hierarchical Distillation", Interspeech 2023, arXiv
    2301.13003, its acoustic level (ACD). The linguistic level (LRD) is `lm_embedding`
    with `{source: decoder, normalize: false}`. An utterance's loss depends on its
    batch, whose other tokens are the negatives. The projector exists in training only.

    L = sum_u -log [exp s_uu / (exp s_uu + sum_j exp s_uj)],
    s_uj = cos(W c_u + b, e_j) / temperature

    Args:
        student: sizes of the student, whose tokens the targets' rows match.
        target_size: E, width of the targets; training takes it from the store.
        temperature: above 0.
        num_negatives: drawn for each token among those of the batch, int(0.8 N) where
            it has fewer; null: all of them.
        across_ranks: also draw from the batches of the other processes of a training.

    Raises:
        InputError: targets of another width.

    Example:
        >>> student = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)
        >>> distiller = AcousticContrastiveDistiller(student, target_size=6)
        >>> vectors = Padded(torch.randn(1, 3, 4), torch.tensor([3]))
        >>> hidden = Padded(torch.randn(1, 2, 6), torch.tensor([2]))
        >>> loss, _ = distiller({"cif_vectors": vectors}, {"teacher_hidden": hidden})
        >>> loss.shape
        torch.Size([1])
    """

    taps = ("cif_vectors",)
    default_weight = 0.067

    def __init__(
        self,
        student: StudentSpec,
        target_size: int = 768,
        temperature: float = 0.02,
        num_negatives: Optional[int] = 700,
        across_ranks: bool = False,
    ):
        super().__init__()
        self.projector = torch.nn.Linear(student.encoder_size, target_size)
        self.temperature, self.num_negatives = temperature, num_negatives
        self.across_ranks = across_ranks

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the tokens with a target."""
        vectors = student["cif_vectors"]
        hidden = self.hidden_targets(teacher, self.projector.out_features)
        # The last vector, of eos, learns where the teacher says something of it.
        valid = hidden.mask
        anchors = self.projector(vectors.data[:, : valid.shape[1]])[valid]
        keys, first = hidden.data[valid], 0
        if self.across_ranks:
            keys, first = gather_keys(keys)
        positives = first + torch.arange(len(anchors), device=anchors.device)
        negatives = None
        if self.num_negatives is not None:
            negatives = sample_negatives(positives, len(keys), self.num_negatives)
        found = contrastive_loss(anchors, keys, negatives, positives, self.temperature)
        losses = found.new_zeros(valid.shape).masked_scatter(valid, found).sum(1)

        with torch.no_grad():
            count = valid.sum().clamp(min=1)
            stats = {
                "ce": losses.sum() / count,
                "utterances_without_targets": (hidden.lengths == 0).sum().float(),
            }
        return losses, stats


def gather_keys(keys: torch.Tensor) -> Tuple[torch.Tensor, int]:
    """Join the keys of all processes, which may have different numbers of them.

    Args:
        keys: (N, E) of this process.

    Returns:
        (M, E) keys in the order of the processes, and where those of this one begin.

    Example:
        >>> gather_keys(torch.zeros(3, 2))[0].shape
        torch.Size([3, 2])
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return keys, 0
    count = torch.tensor([len(keys)], device=keys.device)
    counts = [torch.zeros_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    sizes = [int(size) for size in counts]
    padded = keys.new_zeros(max(sizes), keys.shape[1])
    padded[: len(keys)] = keys
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    joined = torch.cat([part[:size] for part, size in zip(parts, sizes)])
    return joined, sum(sizes[: distributed.get_rank()])
