"""What a CTC student has heard, in vectors that a language model knows."""

from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import torch
import yaml
from torch.nn.functional import pad

from espnet_lmkd.alignment.runs import merge_runs
from espnet_lmkd.alignment.spans import TEXT_CASES
from espnet_lmkd.asr.speech_prompt.abs_bridge import AbsBridge
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

LAYER = "ctc.ctc_lo"


class CTCStudent(NamedTuple):
    """Its CTC layer and what its tokens say.

    Args:
        weight, bias: (K, D) and (K,), class 0 is blank.
        texts: of the K tokens; nothing of those that no text is cut into.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    texts: List[str]


def read_ctc_student(model_file, text_case: str = "as_is") -> CTCStudent:
    """Read the checkpoint of a CTC recogniser, with `config.yaml` beside it.

    Args:
        model_file: such as exp/asr_ctc_.../valid.cer_ctc.ave.pth.
        text_case: as_is or lower, how the language model reads.

    Raises:
        InputError: there is none, or its tokens are neither BPE nor characters.
    """
    config = Path(model_file).parent / "config.yaml"
    for path in (Path(model_file), config):
        if not path.is_file():
            raise InputError(f"student: {path}: no such file; train a CTC student")
    conf = yaml.safe_load(config.read_text(encoding="utf-8"))
    if conf["token_type"] not in ("bpe", "char"):
        raise InputError(
            f"student: {model_file} has token_type {conf['token_type']}; one with bpe"
            " or char was wanted"
        )
    if text_case not in TEXT_CASES:
        raise InputError(f"text_case {text_case!r}; choose one of {sorted(TEXT_CASES)}")
    state = torch.load(model_file, map_location="cpu", weights_only=True)
    if f"{LAYER}.weight" not in state:
        raise InputError(f"student: {model_file} has no CTC layer (ctc_weight above 0)")
    texts = [TEXT_CASES[text_case](_text(token)) for token in conf["token_list"]]
    return CTCStudent(state[f"{LAYER}.weight"], state[f"{LAYER}.bias"], texts)


def _text(token: str) -> str:
    if token == "<space>":
        return " "
    if token.startswith("<") and token.endswith(">"):
        return ""
    return token.replace("\u2581", " ")


class PosteriorBridge(AbsBridge):
    """A CTC student's guesses in words of the LM: `bridge: posterior`.

    After Ma, Chen, Audhkhasi, Ramabhadran, "LegoSLM: Connecting LLM with Speech Encoder
    using CTC Posteriors", arXiv 2505.11352. Theirs has CTC over the tokens of the LM;
    ours that of any student, whose tokens are read as text first, and one vector for
    each run of equal labels other than blank. It begins with the student's guesses
    alone, which the LM reads as if they were written; the encoder must begin as the
    student's, too (`init_param: <student>:encoder:encoder`).

    A = sum_k P(k | run, no blank) E_k + Linear(mean of the frames of the run)
    E_k = mean embedding of the LM's tokens of k's text, at first

    Args:
        encoder_size: D.
        lm_size: E.
        student: checkpoint of a CTC recogniser, read where training begins; its layer
            stays as it is.
        text_case: of the texts of its tokens, `as_is` or `lower`.
        num_tokens: K, to build the bridge again without the student.
    """

    def __init__(
        self,
        encoder_size: int,
        lm_size: int,
        student: str = "",
        text_case: str = "as_is",
        num_tokens: Optional[int] = None,
    ):
        super().__init__()
        self.texts = []
        if num_tokens is None:
            weight, bias, self.texts = read_ctc_student(student, text_case)
            num_tokens = len(self.texts)
            if weight.shape[1] != encoder_size:
                raise InputError(
                    f"bridge: posterior: {student} has frames of {weight.shape[1]}"
                    f" values, this encoder {encoder_size}; give both the same encoder"
                )
        self.ctc_lo = torch.nn.Linear(encoder_size, num_tokens).requires_grad_(False)
        if self.texts:
            self.ctc_lo.load_state_dict({"weight": weight, "bias": bias})
        self.embeddings = torch.nn.Parameter(torch.zeros(num_tokens, lm_size))
        self.linear = torch.nn.Linear(encoder_size, lm_size)

    def config(self) -> Dict[str, Any]:
        """See `AbsBridge`."""
        return {"num_tokens": len(self.embeddings)}

    @torch.no_grad()
    def speak_like(
        self, embeddings: torch.Tensor, read: Callable[[str], List[int]]
    ) -> None:
        """Begin with the LM's own embeddings alone; see `AbsBridge`."""
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)
        for row, text in zip(self.embeddings, self.texts):
            ids = read(text)
            if ids:
                row.copy_(embeddings[ids].float().mean(0))

    def forward(
        self, frames: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Padded:
        """See `AbsBridge`; nothing comes of speech that the student calls blank."""
        probs = self.ctc_lo(frames.data).softmax(2)
        joined = Padded(torch.cat([probs, frames.data], dim=2), frames.lengths)
        runs = merge_runs(joined, probs.argmax(2), dropped=0)
        probs, states = runs.data.split([probs.shape[2], frames.data.shape[2]], dim=2)
        probs = pad(probs[..., 1:], (1, 0))
        probs = probs / probs.sum(2, keepdim=True).clamp(min=1e-6)
        return Padded(probs @ self.embeddings + self.linear(states), runs.lengths)
