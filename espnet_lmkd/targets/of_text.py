"""Add a teacher's targets to samples that have a text and no id: for ESPnet3."""

from typing import Any, Dict, Optional

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.store import RERUN, TargetReader, read_manifest
from espnet_lmkd.targets.vocabulary import (
    StudentTokenizer,
    read_token_list,
    text_hash,
)


class AddTargets:
    """A `transform` of ESPnet3's datasets; targets of the text side belong to texts.

    Args:
        store: folder written by `extract_targets`.
        token_type: the student's, as its preprocessor has it.
        token_list: file of the student's tokens.
        bpemodel: as `StudentTokenizer` takes it.

    Raises:
        InputError: there is no finished store, it holds targets of audio or of another
            tokenizer, a shard is damaged, or a text is not in it.

    Example:
        >>> tokens = "char", "data/tokens.txt"
        >>> add_targets = AddTargets("dump/targets/train", *tokens)  # doctest: +SKIP
        >>> sorted(add_targets({"speech": speech, "text": text}))  # doctest: +SKIP
        ['speech', 'teacher_topk_ids', 'teacher_topk_log_probs', 'text']
    """

    def __init__(
        self,
        store: str,
        token_type: str,
        token_list: str,
        bpemodel: Optional[str] = None,
    ):
        self.store, names = store, list(read_manifest(store)["targets"])
        frames = [name for name in names if TARGETS[name].side == "frame"]
        if frames:
            raise InputError(f"{store} holds {frames}, which belong to audio, not text")
        tokens = read_token_list(token_list)
        student = StudentTokenizer(token_type, tokens, bpemodel)
        # Texts are looked up as the samples come.
        check_store(store, {}, student.record()).raise_if_bad()
        self.readers = {name: TargetReader(f"{store}/{name}.scp") for name in names}
        hashes = read_table(f"{store}/text_hash")
        self.utterances = {found: utterance for utterance, found in hashes.items()}

    def __call__(self, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Return the sample with one array a target."""
        utterance = self.utterances.get(text_hash(sample["text"]))
        if utterance is None:
            raise InputError(
                f"{self.store} holds no targets of the text {sample['text']!r}; {RERUN}"
            )
        found = {name: reader[utterance] for name, reader in self.readers.items()}
        return {**sample, **found}
