"""A trained transducer as the teacher: what it says along its best path of a text."""

import torch
from torch.nn.utils.rnn import pad_sequence

import espnet_lmkd.asr.task  # noqa: F401  models of this pack load by name
from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.live_teacher import LiveTeacher
from espnet_lmkd.teachers.pretrained import choose_device


class TransducerTeacher(LiveTeacher):
    """An ESPnet transducer of any encoder, on the student's tokens and frames.

    Yang, Li and Woodland, "Knowledge Distillation for Neural Transducers from Large
    Self-Supervised Pre-trained Models", ICASSP 2022, arXiv 2110.03334 (reconstructed).

    A text, whether reference or hypothesis of a search, is aligned to the audio again:
    its path is the most probable one of all that emit it (Viterbi), also for a
    hypothesis that the search found along another path or along several.

    Args:
        train_config: ``config.yaml`` of its training.
        model_file: Checkpoint.
        token_list: The student's tokens.
        classes: As of `path_targets`: K likeliest ones, or ``collapsed`` (K = 2).
        device: ``auto``, ``cpu``, ``cuda``, ...

    Raises:
        InputError: If a file is missing, the checkpoint does not belong to the
            configuration, or the model is no transducer of these tokens.

    Example:
        >>> exp = "exp/asr_rnnt_teacher_raw_en_bpe300_seed1"
        >>> teacher = TransducerTeacher(
        ...     f"{exp}/config.yaml", f"{exp}/valid.loss.ave.pth", tokens
        ... )  # doctest: +SKIP
    """

    def __init__(self, train_config, model_file, token_list, classes=8, device="auto"):
        super().__init__(train_config, model_file, classes=classes)
        self.device, self.token_list = choose_device(device), list(token_list)
        self.model = self._load(self.token_list).to(self.device)

    @torch.no_grad()
    def num_frames(self, speech) -> int:
        """Return T, the encoder's frames of an utterance; 0 if it is too short.

        Args:
            speech: (N,) samples or (T', E) features, float32.

        Raises:
            InputError: If it is not what the teacher was trained on.
        """
        try:
            self.hearing.check(speech)
            _, lengths = self.model.encode(*self._pad([speech]))
        except TooShortUttError:
            return 0
        return max(int(lengths), 0)

    def path_topk(self, batch) -> list:
        """Return what the teacher says at each node of its best paths.

        Utterances of a batch should be of like length: ESPnet's convolutions see its
        padding, so that the last frames depend on the longest one, and by one frame
        also T.

        Args:
            batch: (speech, token ids) of each utterance: (N,) samples or (T', E)
                features, float32; L ids.

        Returns:
            For each utterance ``teacher_path`` (T + L, 2), the nodes (t, u) in order,
            ``teacher_path_topk_ids`` and ``teacher_path_topk_log_probs`` (T + L, K).
        """
        speech, ids = zip(*batch)
        labels = [torch.tensor(x, dtype=torch.long, device=self.device) for x in ids]
        text = pad_sequence(labels, batch_first=True, padding_value=-1)
        targets = self(*self._pad(speech), text, self.token_list)
        return [
            {
                name: array.data[index, : array.lengths[index]].cpu().numpy()
                for name, array in targets.items()
            }
            for index in range(len(batch))
        ]

    def _pad(self, speech):
        """Return (B, N) samples or (B, T', E) features, and their lengths (B,)."""
        lengths = torch.tensor([len(x) for x in speech], device=self.device)
        padded = pad_sequence([torch.as_tensor(x) for x in speech], batch_first=True)
        return padded.to(self.device), lengths
