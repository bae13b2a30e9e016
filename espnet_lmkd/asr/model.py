"""ESPnet's recogniser plus a list of distillers."""

from typing import Any, Dict, List, Tuple

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.torch_utils.device_funcs import force_gatherable

from espnet_lmkd.asr.taps import Taps, check_taps, decoder_size
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.weighted import build_distillers
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded
from espnet_lmkd.targets.schema import TARGETS


class LMKDASRModel(ESPnetASRModel):
    """A stock recogniser whose loss also asks what a teacher knows.

    loss = loss_asr + sum_d weight_d * loss_d

    Without distillers it is `ESPnetASRModel`: same parameters, loss and gradients.
    Distillers run in training, and in validation where targets are given for it.

    Args:
        distillers: entries {type, name, weight, conf}, see `WeightedDistiller`.
        *args, **kwargs: ESPnet's own.
    """

    def __init__(self, *args, distillers: List[Dict[str, Any]] = (), **kwargs):
        super().__init__(*args, **kwargs)
        student = StudentSpec(
            vocab_size=self.vocab_size,
            encoder_size=self.encoder.output_size(),
            num_layers=len(getattr(self.encoder, "encoders", ())),
            sos=self.sos,
            eos=self.eos,
            blank=self.blank_id,
            decoder_size=decoder_size(self),
        )
        self.distillers = build_distillers(distillers, student)
        methods = [entry.distiller for entry in self.distillers.values()]
        self.tap_names = {tap for method in methods for tap in method.taps}
        self.target_names = {name for method in methods for name in method.targets}
        check_taps(self.tap_names, self)

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        **kwargs,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor], torch.Tensor]:
        """Return loss, stats and batch size; see `ESPnetASRModel.forward`.

        Args:
            kwargs: `utt_id`, and each teacher target with its `<name>_lengths`.
        """
        missing = sorted(self.target_names - kwargs.keys())
        if not self.distillers or (missing and not self.training):
            return super().forward(speech, speech_lengths, text, text_lengths, **kwargs)
        utt_ids = kwargs.get("utt_id", [str(i) for i in range(len(text))])
        if missing:
            raise InputError(
                f"the distillers {list(self.distillers)} need the targets {missing}; "
                "give --train_data_path_and_name_and_type "
                f"<store>/{missing[0]}.scp,{missing[0]},lmkd_target"
            )
        with Taps(self, self.tap_names) as taps:
            loss, stats, batch_size = super().forward(
                speech, speech_lengths, text, text_lengths, **kwargs
            )
            student = taps.collect(Padded(text, text_lengths).trimmed())
        teacher = {
            name: Padded(kwargs[name], kwargs[f"{name}_lengths"])
            for name in self.target_names
        }
        _check_lengths(teacher, text_lengths, utt_ids)

        stats["loss_asr"] = stats["loss"]
        for entry in self.distillers.values():
            term, entry_stats = entry(student, teacher, utt_ids)
            loss = loss + term
            stats.update(entry_stats)
        stats["loss"] = loss.detach()
        loss, stats, batch_size = force_gatherable(
            (loss, stats, batch_size), loss.device
        )
        return loss, stats, batch_size


def _check_lengths(teacher: Dict[str, Padded], text_lengths, utt_ids) -> None:
    """Refuse text-side targets of another length than the text; none at all is fine."""
    for name, target in teacher.items():
        if TARGETS[name].side != "text":
            continue
        wrong = (target.lengths != text_lengths) & (target.lengths > 0)
        if wrong.any():
            index = int(wrong.nonzero()[0])
            raise InputError(
                f"{name} of utterance {utt_ids[index]!r} has "
                f"{int(target.lengths[index])} rows for {int(text_lengths[index])} "
                "tokens: its store belongs to another text or tokenizer; "
                "run stage 7 again"
            )
