"""A transducer teacher that listens to the batches of its student's training."""

from pathlib import Path
from typing import Dict, List, Union

import torch
import yaml
from espnet2.asr_transducer.utils import get_transducer_task_io
from espnet2.tasks.asr import ASRTask

from espnet_lmkd.alignment.transducer_targets import COLLAPSED, NODES, path_targets
from espnet_lmkd.asr.checkpoint import check_checkpoint
from espnet_lmkd.asr.encoding import encode
from espnet_lmkd.asr.inputs import Hearing
from espnet_lmkd.asr.streaming_encoder import watch_length
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


class LiveTeacher:
    """Targets of `teacher_path` made while a student trains, instead of a store.

    For what cannot be stored, such as all nodes of a lattice, and for experiments. No
    module: the student neither saves nor trains nor exports it. Its files are read at
    the first batch, so that loading the trained student does not ask for them.

    Args:
        asr_train_config: config.yaml of an ESPnet transducer with the student's tokens.
        asr_model_file: its checkpoint.
        nodes: `path`, the best path of the labels, or `lattice`, see `path_targets`.
        classes: how many of the likeliest, or `collapsed`: blank, next label and rest.

    Raises:
        InputError: unknown `nodes` or `classes`.
    """

    targets = ("teacher_path", "teacher_path_topk_ids", "teacher_path_topk_log_probs")

    def __init__(
        self,
        asr_train_config: str,
        asr_model_file: str,
        nodes: str = "path",
        classes: Union[int, str] = 8,
    ):
        if nodes not in NODES:
            raise InputError(f"live_teacher: nodes is one of {NODES}, not {nodes!r}")
        if not isinstance(classes, int) and classes != COLLAPSED:
            raise InputError(
                f"live_teacher: classes is a number or {COLLAPSED!r}, not {classes!r}"
            )
        self.config, self.checkpoint = Path(asr_train_config), Path(asr_model_file)
        self.nodes, self.classes = nodes, classes
        self.model = self.hearing = None

    def check(self, token_list: List[str]) -> None:
        """Read the configuration and refuse one that cannot teach these tokens.

        Raises:
            InputError: a file is missing, the model is no transducer or writes other
                tokens than the student.
        """
        for path in (self.config, self.checkpoint):
            if not path.is_file():
                raise InputError(f"teacher: {path}: no such file; train it first")
        config = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        if config["decoder"] != "transducer":
            raise InputError(
                f"teacher: {self.config} is no transducer (decoder: "
                f"{config['decoder']}); train one with decoder: transducer"
            )
        if config["token_list"] != list(token_list):
            raise InputError(
                f"teacher: {self.config} has {len(config['token_list'])} tokens "
                f"that are not the student's {len(token_list)}; train teacher and "
                "student on one token list (stage 5)"
            )
        self.hearing = Hearing.of(config)

    @torch.no_grad()
    def __call__(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        token_list: List[str],
    ) -> Dict[str, Padded]:
        """Return the targets of a batch, in float32 and without SpecAugment.

        Args:
            speech: (B, N) samples or (B, T, E) features, as the student gets them.
            speech_lengths: (B,).
            text: (B, L) labels, padded with -1.
            token_list: of the student.
        """
        if self.model is None:
            self.model = self._load(token_list)
            self.hearing.check_kind(speech[0], "teacher: ")
        model = self.model.to(speech.device)
        with torch.autocast(speech.device.type, enabled=False):
            encoded = encode(model, speech, speech_lengths)
            labels_in, labels, frames, label_lengths = get_transducer_task_io(
                text, encoded.lengths, ignore_id=-1, blank_id=model.blank_id
            )
            model.decoder.set_device(speech.device)
            path, path_lengths, ids, log_probs = path_targets(
                model.joint_network,
                encoded.data,
                model.decoder(labels_in),
                labels,
                frames,
                label_lengths,
                model.blank_id,
                self.nodes,
                self.classes,
            )
        return {
            name: Padded(data, path_lengths)
            for name, data in zip(self.targets, (path, ids, log_probs))
        }

    def _load(self, token_list: List[str]) -> torch.nn.Module:
        """Read the model; its initial weights are no part of the student's chances."""
        self.check(token_list)
        with torch.random.fork_rng(devices=[]):
            model, _ = ASRTask.build_model_from_file(self.config, device="cpu")
        check_checkpoint(model, self.checkpoint)
        watch_length(model.encoder)
        return model.eval()
