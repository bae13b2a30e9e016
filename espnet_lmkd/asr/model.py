"""ESPnet's recogniser plus a list of distillers."""

from typing import Any, Dict, List, Optional, Tuple

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr_transducer.utils import get_transducer_task_io
from espnet2.torch_utils.device_funcs import force_gatherable

from espnet_lmkd.asr.cif_decoder import CIFDecoder
from espnet_lmkd.asr.live_teacher import LiveTeacher
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.asr.taps import Taps, check_taps, decoder_size, predictor_size
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.weighted import build_distillers
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import lattice_nll
from espnet_lmkd.losses.transducer_joint import arc_scores_from_joint
from espnet_lmkd.padded import Padded
from espnet_lmkd.targets.schema import TARGETS

# Also without padding a teacher on Whisper's frames, stacked by 4, has more of them
# than a student of filterbanks at the same rate, whose conv2d wants full windows: 1 for
# half of the lengths, 2 for the other half. And where its batch is padded, ESPnet
# 202511's subsampling gives an utterance up to two frames more.
MOST_CLIPPED = 2


class _ArcScores(torch.nn.Module):
    """`arc_scores_from_joint` as a module, whose outputs `Taps` can read."""

    def forward(self, *inputs):
        return arc_scores_from_joint(*inputs)


class LMKDASRModel(ESPnetASRModel):
    """A stock recogniser whose loss also asks what a teacher knows.

    loss = loss_asr + sum_d weight_d * loss_d

    Without distillers it is `ESPnetASRModel`: same parameters, loss and gradients.
    In validation only those distillers run whose targets are given for it, or that
    need none. A transducer's logits are held for small batches only, of larger ones a
    few frames at a time.

    Args:
        distillers: entries {type, name, weight, conf}, see `WeightedDistiller`.
        live_teacher: options of `LiveTeacher`, which makes the targets of a
            transducer's path that a training batch lacks.
        *args, **kwargs: ESPnet's own.
    """

    def __init__(
        self,
        *args,
        distillers: List[Dict[str, Any]] = (),
        live_teacher: Optional[Dict[str, Any]] = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        student = StudentSpec(
            vocab_size=self.vocab_size,
            encoder_size=self.encoder.output_size(),
            num_layers=len(getattr(self.encoder, "encoders", ())),
            sos=self.sos,
            eos=self.eos,
            blank=self.blank_id,
            decoder_size=decoder_size(self),
            predictor_size=predictor_size(self),
        )
        self.distillers = build_distillers(distillers, student)
        methods = [entry.distiller for entry in self.distillers.values()]
        self.tap_names = {tap for method in methods for tap in method.taps}
        self.target_names = {name for method in methods for name in method.targets}
        if any(TARGETS[name].side == "frame" for name in self.target_names):
            self.tap_names.add("encoder_out")  # the frames must be the teacher's
        check_taps(self.tap_names, self)
        self.arc_scores = _ArcScores()
        if isinstance(self.decoder, CIFDecoder) and self.decoder.eos != self.eos:
            raise InputError(
                f"the end of a sentence is token {self.eos}, lmkd_cif has "
                f"{self.decoder.eos}; give decoder_conf: {{eos: {self.eos}}}"
            )
        if isinstance(self.decoder, SpeechPromptDecoder) and self.ctc is not None:
            self.decoder.use_ctc(self.ctc, self.blank_id)
        self.live_teacher = LiveTeacher(**live_teacher) if live_teacher else None

    def train(self, mode: bool = True):
        """Set the mode; what `--freeze_param` freezes stays as in recognition.

        Batch normalisation would go on counting, and be saved as it then is.
        """
        super().train(mode)
        for part in self.children():
            parameters = list(part.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                part.eval()
        return self

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
        missing = self.target_names - kwargs.keys()
        entries = [
            entry
            for entry in self.distillers.values()
            if self.training or not missing.intersection(entry.distiller.targets)
        ]
        if not entries:
            return self._recognise(speech, speech_lengths, text, text_lengths, **kwargs)
        utt_ids = kwargs.get("utt_id", [str(i) for i in range(len(text))])
        teacher = {
            name: Padded(kwargs[name], kwargs[f"{name}_lengths"])
            for name in self.target_names - missing
        }
        live = self.live_teacher and self.training
        if live and missing.intersection(LiveTeacher.targets):
            teacher.update(
                self.live_teacher(speech, speech_lengths, text, self.token_list)
            )
            missing -= teacher.keys()
        if missing and self.training:
            raise InputError(
                f"the distillers {list(self.distillers)} need the targets "
                f"{sorted(missing)}; give --train_data_path_and_name_and_type "
                f"<store>/{min(missing)}.scp,{min(missing)},lmkd_target"
            )
        with Taps(self, self.tap_names) as taps:
            loss, stats, batch_size = self._recognise(
                speech, speech_lengths, text, text_lengths, **kwargs
            )
            student = taps.collect(Padded(text, text_lengths).trimmed())
        _check_lengths(teacher, text_lengths, utt_ids)
        if "teacher_path" in teacher:
            stats["utterances_clipped"] = _check_path(
                teacher["teacher_path"],
                student["encoder_out"].lengths.to(text.device),
                text_lengths,
                utt_ids,
            )

        stats["loss_asr"] = stats["loss"]
        for entry in entries:
            term, entry_stats = entry(student, teacher, utt_ids)
            loss = loss + term
            stats.update(entry_stats)
        stats["loss"] = loss.detach()
        loss, stats, batch_size = force_gatherable(
            (loss, stats, batch_size), loss.device
        )
        return loss, stats, batch_size

    def _recognise(self, *batch, **kwargs):
        """Return ESPnet's loss, stats and batch size, and what `loss_att` hides."""
        loss, stats, batch_size = super().forward(*batch, **kwargs)
        if isinstance(self.decoder, CIFDecoder):  # so on all ranks
            stats["loss_quantity"] = self.decoder.quantity_losses.detach().mean()[None]
        return loss, stats, batch_size

    def _calc_att_loss(self, *args):
        """Return what ESPnet returns, with the quantity loss of integrate-and-fire."""
        loss, *stats = super()._calc_att_loss(*args)
        quantity = getattr(self.decoder, "quantity_losses", None)
        if quantity is not None:
            loss = loss + self.decoder.quantity_weight * quantity.mean()
        return loss, *stats

    def _calc_transducer_loss(self, encoder_out, encoder_out_lens, labels):
        """Return what ESPnet returns, without the logits of a large lattice."""
        if hasattr(self, "transducer_multi_blank_durations"):  # another loss
            return super()._calc_transducer_loss(encoder_out, encoder_out_lens, labels)
        labels_in, target, frames, label_lengths = get_transducer_task_io(
            labels, encoder_out_lens, ignore_id=self.ignore_id, blank_id=self.blank_id
        )
        self.decoder.set_device(encoder_out.device)
        scores = self.arc_scores(
            self.joint_network,
            encoder_out,
            self.decoder(labels_in),
            target,
            frames,
            label_lengths,
            self.blank_id,
        )
        loss = lattice_nll(*scores, frames, label_lengths).mean()
        if self.training or self.error_calculator_trans is None:
            return loss, None, None
        return loss, *self.error_calculator_trans(encoder_out, target)


def _check_lengths(teacher: Dict[str, Padded], text_lengths, utt_ids) -> None:
    """Refuse text-side targets of another length than the text; none at all is fine."""
    for name, target in teacher.items():
        if TARGETS[name].side != "text":
            continue
        more = target.lengths - text_lengths
        right = (more == 0) | (more == int(TARGETS[name].eos_row))
        wrong = ~right & (target.lengths > 0)
        if wrong.any():
            index = int(wrong.nonzero()[0])
            raise InputError(
                f"{name} of utterance {utt_ids[index]!r} has "
                f"{int(target.lengths[index])} rows for {int(text_lengths[index])} "
                "tokens: its store belongs to another text or tokenizer; "
                "run stage 7 again"
            )


def _check_path(path: Padded, frames, text_lengths, utt_ids) -> torch.Tensor:
    """Refuse paths through another lattice; count those of some frames more or less."""
    given = path.lengths > 0
    if not given.any():
        return torch.zeros(())
    # Paths end, and lattices do, at the last frame after the last label.
    last = (path.lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, -1, 2)
    teacher_frames, labels = path.data.gather(1, last).squeeze(1).unbind(1)
    teacher_frames = teacher_frames + 1
    wrong = given & (labels != text_lengths)
    if wrong.any():
        index = int(wrong.nonzero()[0])
        raise InputError(
            f"teacher_path of utterance {utt_ids[index]!r} has {int(labels[index])} "
            f"labels for {int(text_lengths[index])} tokens: its store belongs to "
            "another text or tokenizer; run stage 7 again"
        )
    apart = (teacher_frames - frames).abs() * given
    if (apart > MOST_CLIPPED).any():
        index = int(apart.argmax())
        raise InputError(
            f"utterance {utt_ids[index]!r} has {int(teacher_frames[index])} frames of "
            f"the teacher and {int(frames[index])} of the student; give both the same "
            "frame rate (subsampling of the encoder, stack, hop_length), or extract "
            "the targets again if the audio has changed (stage 7)"
        )
    return (apart > 0).sum().float()
