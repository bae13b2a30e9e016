"""A transducer's label emissions learn to predict a language model's embeddings."""

from typing import Dict, Mapping, Tuple

import torch

from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.abs_hidden_distiller import AbsHiddenDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.pairwise import pairwise_distances
from espnet_lmkd.losses.path_cost import expected_path_cost
from espnet_lmkd.losses.regression import DISTANCES
from espnet_lmkd.losses.transducer import label_posteriors, lattice_nll
from espnet_lmkd.padded import Padded

VARIANTS = ("posterior", "expectation", "joint")


class LMEmbeddingTransducerDistiller(AbsHiddenDistiller):
    """Distil a language model's hidden states where a transducer emits its labels.

    Kubo, Karita, Bacchiani, "Knowledge Transfer from Large-Scale Pretrained Language
    Models to End-to-End Speech Recognizers", ICASSP 2022, arXiv 2202.07894;
    reconstructed from its abstract and related work. The projectors exist in training
    only. For the prediction network alone take `lm_embedding` with source `predictor`.

    c(t, u) = d(A h_t + B g_u + b, e_{u+1}),  e_u a frozen LM's state at token u

    posterior:   L = sum_{t,u} gamma(t, u) c(t, u), gamma the probability that the
                 transducer emits label u+1 at frame t; it gets no gradient
    expectation: the same, but it gets one: frames that predict the LM become likelier
    joint:       L = [nll(log P(t, u) - scale c(t, u)) - nll(log P(t, u))] / scale, nll
                 the transducer's loss on all paths

    With `weight: scale`, joint is the paper's: its loss and this one together are the
    transducer's with the biased labels. For a small scale it is the expectation, whose
    gradient it shares everywhere; posterior shares it for A, B and b only.

    Args:
        student: sizes of the student.
        target_size: E, width of the targets; training takes it from the store.
        variant: `posterior`, `expectation` or `joint`.
        distance: `mse` or `l1` (means over E), or `cos` (1 - cosine).
        normalize: LayerNorm, without parameters, of e.
        scale: of `joint`, more than 0.

    Raises:
        InputError: an unknown variant or distance, a student that is no transducer,
            or targets of another width.

    Example:
        >>> student = StudentSpec(
        ...     10, encoder_size=4, num_layers=2, sos=9, eos=9, predictor_size=5
        ... )
        >>> distiller = LMEmbeddingTransducerDistiller(student, target_size=6)
        >>> text, frames = torch.tensor([2]), torch.tensor([7])
        >>> taps = {
        ...     "text": Padded(torch.tensor([[3, 5]]), text),
        ...     "encoder_out": Padded(torch.randn(1, 7, 4), frames),
        ...     "predictor_out": Padded(torch.randn(1, 3, 5), text + 1),
        ...     "blank_scores": Padded(torch.zeros(1, 7, 3), frames),
        ...     "label_scores": Padded(torch.zeros(1, 7, 2), frames),
        ... }
        >>> loss, stats = distiller(
        ...     taps, {"teacher_hidden": Padded(torch.randn(1, 2, 6), text)}
        ... )
        >>> loss.shape
        torch.Size([1])
    """

    taps = ("text", "encoder_out", "predictor_out", "blank_scores", "label_scores")
    default_weight = 3.0

    def __init__(
        self,
        student: StudentSpec,
        target_size: int = 768,
        variant: str = "posterior",
        distance: str = "mse",
        normalize: bool = True,
        scale: float = 1.0,
    ):
        super().__init__()
        self.variant = self.choose("variant", variant, VARIANTS)
        self.distance = self.choose("distance", distance, DISTANCES)
        if scale <= 0:
            raise InputError(f"{self.name()}: scale must be more than 0, not {scale}")
        if student.predictor_size is None:
            raise InputError(
                f"{self.name()} needs a transducer student (decoder: transducer); "
                "attention decoders and CTC learn by lm_embedding"
            )
        self.normalize, self.scale = normalize, scale
        self.of_frame = torch.nn.Linear(student.encoder_size, target_size, bias=False)
        self.of_label = torch.nn.Linear(student.predictor_size, target_size)

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the tokens with a target."""
        text, frames, predicted, *scores = (student[name] for name in self.taps)
        scores = [score.data for score in scores]
        width, length = self.of_label.out_features, scores[1].shape[2]
        embedding = self.hidden_targets(teacher, width, self.normalize)
        costs = pairwise_distances(
            frames.data,
            self.of_frame.weight,
            self.of_label(predicted.data[:, :length]),
            _cut(embedding.data, length),
            self.distance,
        )
        known = torch.minimum(embedding.lengths, text.lengths)
        valid = Padded(costs[:, 0], known).mask
        costs = costs.masked_fill(~(frames.mask.unsqueeze(2) & valid.unsqueeze(1)), 0.0)
        losses = self._losses(*scores, costs, frames.lengths, text.lengths)

        with torch.no_grad():
            missing = text.lengths * (embedding.lengths == 0)
            stats = {
                "distance": losses.sum() / valid.sum().clamp(min=1),
                "tokens_without_targets": missing.sum().float(),
            }
        return losses, stats

    def _losses(self, blanks, labels, costs, *lengths):
        if self.variant == "posterior":
            return (label_posteriors(blanks, labels, *lengths) * costs).sum((1, 2))
        if self.variant == "expectation":
            return expected_path_cost(blanks, labels, costs, *lengths)
        biased = lattice_nll(blanks, labels, *lengths, -self.scale * costs)
        return (biased - lattice_nll(blanks, labels, *lengths)) / self.scale


def _cut(rows, length):
    """Return (B, length, E): rows of eos go, those that nobody has become 0."""
    return torch.nn.functional.pad(rows, (0, 0, 0, length - rows.shape[1]))
