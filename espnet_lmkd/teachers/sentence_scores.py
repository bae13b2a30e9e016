"""How likely a causal language model finds sentences."""

from typing import List, Sequence

import torch

from espnet_lmkd.asr.speech_prompt.causal_lm import load_causal_lm
from espnet_lmkd.teachers.batches import batches_of, default_batch_tokens, pad
from espnet_lmkd.teachers.pretrained import choose_device, load_tokenizer


class SentenceScorer:
    """Any Hugging Face causal LM as a judge of whole sentences.

    log P(y) = sum_u log P(y_u | bos, y_<u) + log P(eos | bos, y)

    Args:
        model: in eval mode.
        tokenizer: its tokenizer, with a token that ends a text.
        device: ``auto``, ``cpu``, ``cuda``, ...
        batch_tokens: most tokens in a batch, padding included.
    """

    def __init__(self, model, tokenizer, device="auto", batch_tokens=None):
        self.device = choose_device(device)
        self.model, self.tokenizer = model.to(self.device).eval(), tokenizer
        self.batch_tokens = batch_tokens or default_batch_tokens(self.device)
        self.eos = tokenizer.eos_token_id
        bos = tokenizer.bos_token_id
        self.bos = self.eos if bos is None else bos

    @classmethod
    def from_pretrained(cls, source, revision=None, dtype="float32", device="auto"):
        """Load the language model from a folder or the Hugging Face hub."""
        tokenizer = load_tokenizer(source, revision)
        return cls(load_causal_lm(source, revision, dtype), tokenizer, device)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> List[float]:
        """Return log P of each text; an empty one is judged, too."""
        encoded = [self.tokenizer(t, add_special_tokens=False).input_ids for t in texts]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        lengths = [len(encoded[index]) for index in order]
        scores = [0.0] * len(texts)
        for batch in batches_of(order, lengths, self.batch_tokens):
            sentences = [encoded[index] for index in batch]
            inputs = pad(sentences, [self.bos], [self.eos], self.eos, self.device)
            logits = self.model(**inputs, use_cache=False).logits[:, :-1].float()
            wanted = inputs["input_ids"][:, 1:, None]
            found = logits.log_softmax(2).gather(2, wanted).squeeze(2)
            found = found * inputs["attention_mask"][:, 1:]
            for index, score in zip(batch, found.sum(1).tolist()):
                scores[index] = score
        return scores
