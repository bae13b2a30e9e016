"""A masked language model as the teacher: what it expects at each token of a text."""

from itertools import islice

import numpy as np
import torch

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.batches import batches_of, default_batch_tokens, pad
from espnet_lmkd.teachers.pretrained import (
    choose_device,
    load_masked_lm,
    longest_input,
    vocabulary_difference,
)


class MaskedLMTeacher:
    r"""Any Hugging Face masked LM whose first token ids are the student's.

    With :math:`z` the logits at position u of the sentence in which u alone is masked,
    and :math:`\mathcal A` the student's tokens without the special ones,

    .. math:: \log q_u(v) = z_v / \tau - \log \sum_{w \in \mathcal A} e^{z_w / \tau}

    over the whole of :math:`\mathcal A`: the top k that are kept sum to less than 1.

    Args:
        model: ``AutoModelForMaskedLM`` of any architecture, in eval mode.
        tokenizer: Its tokenizer.
        token_list: The student's tokens: token i of teacher and student are the same;
            None: the teacher's own.
        device: ``auto``, ``cpu``, ``cuda``, ...
        batch_tokens: Most tokens in a batch, padding included; by default 1024 on a
            CPU, whose caches are small, and 8192 elsewhere.

    Raises:
        InputError: If the vocabularies differ or a special token is missing.
    """

    def __init__(self, model, tokenizer, token_list, device="auto", batch_tokens=None):
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.tokenizer = tokenizer
        self.commit = None
        self.batch_tokens = batch_tokens or default_batch_tokens(self.device)
        if token_list is None:
            token_list = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self.vocab_size = len(token_list)
        self._check_vocabulary(token_list)
        allowed = torch.ones(self.vocab_size, dtype=torch.bool)
        special = [i for i in tokenizer.all_special_ids if i < self.vocab_size]
        allowed[special] = False
        self.allowed = allowed.to(self.device)

    @classmethod
    def from_pretrained(
        cls, source, token_list, revision=None, dtype="float32", **conf
    ):
        """Load the teacher from a folder or the Hugging Face hub.

        Args:
            source: Folder or hub id.
            token_list: As for the class.
            revision: Branch, tag or commit on the hub.
            dtype: ``float32``, or ``bfloat16``: some times faster where the hardware
                has it, at an error of about 0.01 in a log-probability.
            conf: ``device`` and ``batch_tokens`` of the class.
        """
        model, tokenizer, commit = load_masked_lm(source, revision, dtype=dtype)
        teacher = cls(model, tokenizer, token_list, **conf)
        teacher.commit = commit
        return teacher

    @property
    def max_tokens(self) -> int:
        """Most tokens of a sentence, without the two special ones around it."""
        return longest_input(self.model, self.tokenizer) - 2

    def check_top_k(self, top_k):
        """Raise an `InputError` if ``top_k`` is not in 1 .. the number of tokens."""
        if not 1 <= top_k <= int(self.allowed.sum()):
            raise InputError(
                f"--top_k {top_k}: the vocabulary has {int(self.allowed.sum())} tokens"
                " besides the special ones; lower it"
            )

    def topk_log_probs(self, sentences, top_k, temperature=1.0):
        """Yield the most probable tokens at each position, that position masked.

        Sentences of like length should be neighbours: a batch is padded to its longest.

        Args:
            sentences: Token ids of each sentence, without the special ones around it.
            top_k: Number of tokens to keep, K.
            temperature: Divides the logits; above 1 is softer.

        Yields:
            For each sentence ``teacher_topk_ids`` (L, K), most probable first, and
            ``teacher_topk_log_probs`` (L, K) in float64.

        Raises:
            InputError: If ``top_k`` is larger than the vocabulary.
        """
        self.check_top_k(top_k)
        rows = self._topk_rows(sentences, top_k, temperature)
        for sentence in sentences:
            ids, log_probs = zip(*islice(rows, len(sentence)))
            yield {
                "teacher_topk_ids": np.stack(ids),
                "teacher_topk_log_probs": np.stack(log_probs),
            }

    def score(self, sentences):
        """Return accuracy and mean negative log-probability of each masked token."""
        correct, loss, count = 0, 0.0, 0
        for batch, log_probs in self._masked_log_probs(sentences, 1.0):
            truth = torch.tensor([s[u] for s, u in batch], device=self.device)
            # An unknown token has no probability to be right or wrong about.
            known = self.allowed[truth]
            truth, log_probs = truth[known], log_probs[known]
            correct += (log_probs.argmax(1) == truth).sum().item()
            loss -= log_probs.gather(1, truth[:, None]).sum().item()
            count += len(truth)
        return correct / max(count, 1), loss / max(count, 1)

    def _topk_rows(self, sentences, top_k, temperature):
        for _, log_probs in self._masked_log_probs(sentences, temperature):
            values, ids = log_probs.topk(top_k)
            yield from zip(ids.cpu().numpy(), values.cpu().numpy())

    def _masked_log_probs(self, sentences, temperature):
        """Yield batches of (sentence, position) and their log-probs (n, V)."""
        maskings = ((s, u) for s in sentences for u in range(len(s)))
        lengths = (len(s) for s in sentences for _ in s)
        for batch in batches_of(maskings, lengths, self.batch_tokens):
            inputs = pad(
                [sentence for sentence, _ in batch],
                [self.tokenizer.cls_token_id],
                [self.tokenizer.sep_token_id],
                self.tokenizer.pad_token_id,
                self.device,
            )
            positions = torch.tensor([u + 1 for _, u in batch], device=self.device)
            rows = torch.arange(len(batch), device=self.device)
            inputs["input_ids"][rows, positions] = self.tokenizer.mask_token_id
            logits = self._logits_at(inputs, rows, positions)[:, : self.vocab_size]
            # float64: the mass outside the top k may be far below float32's epsilon.
            logits = logits.double() / temperature
            logits.masked_fill_(~self.allowed, -torch.inf)
            yield batch, logits.log_softmax(-1)

    @torch.inference_mode()
    def _logits_at(self, inputs, rows, positions):
        """Run the LM head at one position of each row only: (n, vocabulary)."""

        def keep_position(module, args, output):
            states = output.last_hidden_state[rows, positions]
            output.last_hidden_state = states.unsqueeze(1)
            return output

        hook = self.model.base_model.register_forward_hook(keep_position)
        try:
            return self.model(**inputs).logits.squeeze(1)
        finally:
            hook.remove()

    def _check_vocabulary(self, token_list):
        tokenizer = self.tokenizer
        for kind in ("pad_token", "mask_token", "cls_token", "sep_token"):
            if getattr(tokenizer, kind) is None:
                raise InputError(f"the teacher's tokenizer has no {kind}")
        difference = vocabulary_difference(tokenizer, token_list)
        if difference:
            raise InputError(
                f"{difference}: the teacher belongs to another tokenizer; run stage 6"
                " with this token list"
            )
