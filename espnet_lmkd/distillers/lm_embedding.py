"""The student's token states learn to predict a language model's embeddings."""

from typing import Dict, Mapping, Tuple

import torch

from espnet_lmkd.alignment.ctc import ctc_align, token_means
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.abs_hidden_distiller import AbsHiddenDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.regression import DISTANCES, cos
from espnet_lmkd.padded import Padded

SOURCES = {
    "decoder": ("text", "decoder_states"),
    "ctc": ("text", "encoder_out", "ctc_logits"),
    "predictor": ("text", "predictor_out"),
}


class LMEmbeddingDistiller(AbsHiddenDistiller):
    """Distil a language model's hidden states through a linear prediction of them.

    Kubo, Karita, Bacchiani, "Knowledge Transfer from Large-Scale Pretrained Language
    Models to End-to-End Speech Recognizers", ICASSP 2022, arXiv 2202.07894;
    reconstructed from its abstract and related work. The paper has attention decoders
    and transducers; CTC students are ours. The projector exists in training only.

    L = sum_u d(W s_u + b, e_u),  e_u a frozen LM's state at token u of the sentence

    decoder:   s_u is the decoder's state before its output layer that predicts y_u
    ctc:       s_u is the mean encoder output of the frames that emit y_u on the best
               CTC path of the text by the current posteriors; these get no gradient
    predictor: s_u is a transducer's prediction network's output before y_u; for its
               encoder, too, take `lm_embedding_transducer`

    The paper's `lambda mean_u` is here a sum over tokens by the batch size, as ESPnet's
    own losses are: `weight: lambda` where its ASR loss is a mean over tokens as well,
    `lambda / L` for an utterance of L tokens where that is a sum. The decoder's state
    that predicts eos learns where the targets have a row for it.

    Args:
        student: sizes of the student, whose tokens the targets' rows match.
        target_size: E, width of the targets; training takes it from the store.
        source: `decoder`, `ctc` or `predictor`.
        distance: `mse` or `l1` (means over E), or `cos` (1 - cosine).
        normalize: LayerNorm, without parameters, of e.

    Raises:
        InputError: an unknown source or distance, a student without such a decoder, or
            targets of another width.

    Example:
        >>> student = StudentSpec(10, encoder_size=4, num_layers=2, sos=9, eos=9)
        >>> distiller = LMEmbeddingDistiller(student, target_size=6, source="ctc")
        >>> text = torch.tensor([2])
        >>> taps = {
        ...     "text": Padded(torch.tensor([[3, 5]]), text),
        ...     "encoder_out": Padded(torch.randn(1, 7, 4), torch.tensor([7])),
        ...     "ctc_logits": Padded(torch.randn(1, 7, 10), torch.tensor([7])),
        ... }
        >>> loss, stats = distiller(
        ...     taps, {"teacher_hidden": Padded(torch.randn(1, 2, 6), text)}
        ... )
        >>> loss.shape
        torch.Size([1])
    """

    default_weight = 0.9

    def __init__(
        self,
        student: StudentSpec,
        target_size: int = 768,
        source: str = "decoder",
        distance: str = "mse",
        normalize: bool = True,
    ):
        super().__init__()
        self.taps = SOURCES[self.choose("source", source, SOURCES)]
        self.distance = DISTANCES[self.choose("distance", distance, DISTANCES)]
        if source == "decoder" and student.decoder_size is None:
            raise InputError(
                "lm_embedding: source 'decoder' needs a student with an attention "
                "decoder that has an output layer, such as ESPnet's transformer or rnn "
                "(ctc_weight < 1), this one has none; choose source 'ctc'"
            )
        sizes = {
            "decoder": student.decoder_size,
            "ctc": student.encoder_size,
            "predictor": student.predictor_size,
        }
        if sizes[source] is None:
            raise InputError(
                "lm_embedding: source 'predictor' needs a transducer student "
                "(decoder: transducer), this is none"
            )
        self.source, self.normalize, self.blank = source, normalize, student.blank
        self.projector = torch.nn.Linear(sizes[source], target_size)

    def forward(
        self, student: Mapping[str, Padded], teacher: Mapping[str, Padded]
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """See the class; stats are means over the tokens with a target and a state."""
        text, width = student["text"], self.projector.out_features
        hidden = self.hidden_targets(teacher, width, self.normalize)
        # Rows are those of the text, or none: beyond the longest nothing is learned.
        length = hidden.data.shape[1]
        states, found = self._states(student, text, length)
        prediction, embedding = self.projector(states), hidden.data
        valid = hidden.mask & found.unsqueeze(1)
        if self.source != "decoder":  # no frame emits eos, no label does
            valid &= Padded(valid, text.lengths).mask
        losses = (self.distance(prediction, embedding) * valid).sum(1)

        with torch.no_grad():
            count = valid.sum().clamp(min=1)
            cosine = (1 - cos(prediction, embedding)) * valid
            missing = text.lengths * (hidden.lengths == 0)
            stats = {
                "distance": losses.sum() / count,
                "cosine": cosine.sum() / count,
                "tokens_without_targets": missing.sum().float(),
                "tokens_without_alignment": (text.lengths * ~found).sum().float(),
            }
        return losses, stats

    def _states(self, student, text, length):
        """Return (B, L, D) states of the first tokens, and (B,) where there are any."""
        if self.source != "ctc":
            states = student[self.taps[1]].data[:, :length]
            return states, torch.ones_like(text.lengths, dtype=torch.bool)
        logits = student["ctc_logits"]
        positions, aligned = ctc_align(
            logits.data, logits.lengths, text.data, text.lengths, self.blank
        )
        return token_means(student["encoder_out"].data, positions, length), aligned
