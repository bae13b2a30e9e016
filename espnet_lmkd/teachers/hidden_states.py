"""The hidden states of a language model as the teacher: what it makes of each token."""

import torch

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.batches import batches_of, default_batch_tokens, pad
from espnet_lmkd.teachers.pretrained import (
    choose_device,
    load_headless_lm,
    longest_input,
)


class HiddenStateTeacher:
    """Any Hugging Face masked or causal LM; nothing is masked.

    A masked LM's state at a token knows the whole sentence, a causal LM's only the
    tokens up to it. A causal LM whose tokenizer puts nothing in front of a sentence
    gets its beginning-of-sentence token, if it has one: the state at the very first
    place is not like the others.

    Args:
        model: ``AutoModel`` of any such architecture, in eval mode.
        tokenizer: Its tokenizer.
        layers: The mean of these is taken: 0 is the embedding, 1 .. N the layers,
            negative from the last.
        device: ``auto``, ``cpu``, ``cuda``, ...
        batch_tokens: Most tokens in a batch, padding included.

    Raises:
        InputError: If the model has no such layer, or the tokenizer no offsets.
    """

    def __init__(
        self, model, tokenizer, layers=(-1,), device="auto", batch_tokens=None
    ):
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.model.config.use_cache = False
        self.tokenizer = tokenizer
        self.layers = list(layers)
        self.commit = None
        self.batch_tokens = batch_tokens or default_batch_tokens(self.device)
        num_layers = self.model.config.num_hidden_layers
        for layer in self.layers:
            if not -num_layers - 1 <= layer <= num_layers:
                raise InputError(
                    f"--layers {layer}: the teacher has layers 0 (embedding) .."
                    f" {num_layers}"
                )
        if not tokenizer.is_fast:
            raise InputError(
                f"the teacher's {type(tokenizer).__name__} tells no character offsets;"
                " take a teacher with a tokenizer.json"
            )
        self._prefix, self._suffix = _special_tokens_around(tokenizer)

    @classmethod
    def from_pretrained(cls, source, revision=None, dtype="float32", **conf):
        """Load the teacher from a folder or the Hugging Face hub.

        Args:
            source: Folder or hub id.
            revision: Branch, tag or commit on the hub.
            dtype: ``float32`` or ``bfloat16``.
            conf: ``layers``, ``device`` and ``batch_tokens`` of the class.
        """
        model, tokenizer, commit = load_headless_lm(source, revision, dtype=dtype)
        teacher = cls(model, tokenizer, **conf)
        teacher.commit = commit
        return teacher

    @property
    def max_tokens(self) -> int:
        """Most tokens of a sentence, without the special ones around it."""
        special = len(self._prefix) + len(self._suffix)
        return longest_input(self.model, self.tokenizer) - special

    def read(self, text):
        """Return the token ids of a text and the characters that each spans.

        Nothing is cut off and no special token is added.
        """
        encoding = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return tuple(encoding.input_ids), encoding.offset_mapping

    def check_eos(self):
        """Refuse a teacher that closes no sentence with a token of its own.

        Raises:
            InputError: If it does not.
        """
        if not self._suffix:
            raise InputError(
                f"--eos: {type(self.tokenizer).__name__} puts no token behind a"
                " sentence; leave it out, or take a masked LM such as BERT"
            )

    def hidden_states(self, sentences, eos=False):
        """Yield the hidden states (L, E) of the tokens of each sentence.

        Args:
            sentences: Token ids of each, without the special ones around it;
                sentences of like length should be neighbours.
            eos: Also yield that of the token that closes it: (L + 1, E).
        """
        pad_id = self.tokenizer.pad_token_id or 0
        first = len(self._prefix)
        for batch in batches_of(sentences, map(len, sentences), self.batch_tokens):
            inputs = pad(batch, self._prefix, self._suffix, pad_id, self.device)
            with torch.inference_mode():
                states = self.model(**inputs, output_hidden_states=True).hidden_states
            chosen = torch.stack([states[layer].float() for layer in self.layers])
            for sentence, state in zip(batch, chosen.mean(0).cpu().numpy()):
                yield state[first : first + len(sentence) + eos]


def _special_tokens_around(tokenizer):
    """Return the ids that go in front of a sentence and behind it."""
    encoding = tokenizer("a", return_special_tokens_mask=True)
    ids, special = encoding.input_ids, encoding.special_tokens_mask
    first, end = special.index(0), len(special) - special[::-1].index(0)
    prefix, suffix = ids[:first], ids[end:]
    if not prefix and tokenizer.bos_token_id is not None:
        prefix = [tokenizer.bos_token_id]
    return prefix, suffix
