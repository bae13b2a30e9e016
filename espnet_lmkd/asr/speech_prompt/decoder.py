"""Decoder that lets a causal language model read speech and go on with its text."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from espnet2.asr.decoder.abs_decoder import AbsDecoder

from espnet_lmkd.asr.compat import BatchScorerInterface
from espnet_lmkd.asr.speech_prompt.bridge import build_bridge
from espnet_lmkd.asr.speech_prompt.causal_lm import (
    CausalLM,
    Context,
    TextReader,
    build_causal_lm,
    lm_config,
    load_causal_lm,
)
from espnet_lmkd.asr.speech_prompt.prompt import Prompt, build_prompt
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


class PromptConfig(NamedTuple):
    """What builds the decoder again, without weights and network.

    Args:
        lm: configuration of the language model.
        begin: id of its beginning-of-sequence token.
        instruction: ids of the text between speech and transcript.
        bridge: options of the bridge that stand for files read by training.
    """

    lm: Dict[str, Any]
    begin: int
    instruction: List[int]
    bridge: Dict[str, Any] = {}


class SpeechPromptDecoder(AbsDecoder, BatchScorerInterface):
    """Any causal LM of transformers as the decoder: `decoder: lmkd_speech_prompt`.

    Hono, Mitsuda, Zhao, Mitsui, Wakatsuki, Sawada, "Integrating Pre-Trained Speech and
    Language Models for End-to-End Speech Recognition", Findings of ACL 2024, arXiv
    2312.03668. Theirs trains all of the LM; here it is frozen or adapted, too. ESPnet's
    sos takes the place of their [SEP], and no token of the text stands for speech.

    [E(bos); A_1 .. A_T'; E(instruction); E(sos); E(y_1) .. E(y_L)],  A = bridge(h)
    log P(y_u | y_<u, h) = log softmax of the LM where it has read y_{u-1}

    Wants `token_type: hugging_face`, the tokens of the LM, and `init: none`. Training
    puts `config` into the experiment's config.yaml, so that loading the trained model
    asks neither for the pretrained one nor for the network.

    Args:
        vocab_size: V, tokens of the LM; it may have more outputs, which stay unused.
        encoder_output_size: D.
        model: folder, or id on the Hugging Face hub; read only without `config`.
        revision: branch, tag or commit on the hub.
        config: builds the LM without its pretrained weights.
        bridge: `conv`, `ctc`, `cif` or `posterior`.
        bridge_conf: options of the bridge.
        instruction: text between speech and transcript, for example of a domain.
        freeze: whether the LM's own weights stay as they are.
        lora: {r, alpha, dropout, target_modules}: adapters of the frozen LM.
        lm_dtype: of a frozen LM's weights, `float32` or `bfloat16`.
        gradient_checkpointing: slower training that needs less memory.

    Raises:
        InputError: an option is wrong, or the LM and the tokens do not fit.
    """

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        model: str = "HuggingFaceTB/SmolLM2-135M",
        revision: Optional[str] = None,
        config: Optional[Dict[str, Any]] = None,
        bridge: str = "conv",
        bridge_conf: Optional[Dict[str, Any]] = None,
        instruction: str = "",
        freeze: bool = True,
        lora: Optional[Dict[str, Any]] = None,
        lm_dtype: str = "float32",
        gradient_checkpointing: bool = False,
    ):
        super().__init__()
        bridge_conf = bridge_conf or {}
        if config:
            self.prompt_config = PromptConfig(**config)
            lm = build_causal_lm(self.prompt_config.lm, lm_dtype)
            bridge_conf = {**bridge_conf, **self.prompt_config.bridge}
        else:
            lm = load_causal_lm(model, revision, lm_dtype)
            read = TextReader(model, revision)
            ids = read(instruction)
            self.prompt_config = PromptConfig(lm_config(lm), _begin(lm, model), ids)
        self.lm = CausalLM(lm, freeze, lora, gradient_checkpointing)
        if vocab_size > self.lm.vocab_size:
            raise InputError(
                f"{vocab_size} tokens came, the LM {model!r} has {self.lm.vocab_size};"
                " give token_type: hugging_face with the token list of this LM"
            )
        self.vocab_size = vocab_size
        self.bridge = build_bridge(
            bridge, encoder_output_size, self.lm.size, bridge_conf
        )
        if not config:
            self.bridge.speak_like(self.lm.model.get_input_embeddings().weight, read)
            built = self.prompt_config._replace(bridge=self.bridge.config())
            self.prompt_config = built
        self._scored = None

    def config(self) -> Dict[str, Any]:
        """Return what `config` wants."""
        return self.prompt_config._asdict()

    @property
    def quantity_losses(self) -> Optional[torch.Tensor]:
        """|sum_t alpha_t - L| (B,) of `bridge: cif` after a forward pass."""
        return self.bridge.quantity_losses

    @property
    def quantity_weight(self) -> float:
        """Weight of the mean of `quantity_losses` in the loss."""
        return self.bridge.quantity_weight

    def use_ctc(self, ctc: torch.nn.Module, blank: int) -> None:
        """Show the recogniser's CTC layer to `bridge: ctc`."""
        self.bridge.use_ctc(ctc, blank)

    def forward(
        self,
        hs_pad: torch.Tensor,
        hlens: torch.Tensor,
        ys_in_pad: torch.Tensor,
        ys_in_lens: torch.Tensor,
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, L + 1, V) and lengths.

        Args:
            hs_pad: (B, T, D) encoder output.
            hlens: (B,) its lengths.
            ys_in_pad: (B, L + 1) tokens after sos.
            ys_in_lens: (B,) their lengths with sos.
        """
        prompt = self._prompt(Padded(hs_pad, hlens), ys_in_lens - 1)
        inputs = self._append(prompt, Padded(ys_in_pad, ys_in_lens))
        logits = self.lm(*inputs, keep=ys_in_pad.shape[1])
        return logits[..., : self.vocab_size], ys_in_lens

    def begin(
        self, encoder_out: Padded, tokens: torch.Tensor
    ) -> Tuple[torch.Tensor, Context]:
        """Read speech and first tokens.

        Args:
            encoder_out: (N, T, D).
            tokens: (N, n) from sos on.

        Returns:
            (N, V) log-probabilities of the next token, and what was read.
        """
        lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
        inputs = self._append(self._prompt(encoder_out), Padded(tokens, lengths))
        logits, context = self.lm.read(*inputs)
        return self._log_probs(logits), context

    def step(
        self, tokens: torch.Tensor, context: Context
    ) -> Tuple[torch.Tensor, Context]:
        """Read one more token (N,) after a context, which is used up; see `begin`."""
        logits, context = self.lm.read_on(tokens, context)
        return self._log_probs(logits), context

    def _prompt(self, encoder_out: Padded, token_lengths=None) -> Prompt:
        speech = self.bridge(encoder_out, token_lengths)
        ids = [self.prompt_config.begin, *self.prompt_config.instruction]
        embeds = self.lm.embed(torch.tensor(ids, device=speech.data.device))
        speech = Padded(speech.data.to(embeds.dtype), speech.lengths)
        return build_prompt(speech, embeds[0], embeds[1:])

    def _append(self, prompt: Prompt, tokens: Padded):
        embeds = torch.cat([prompt.embeds, self.lm.embed(tokens.data)], dim=1)
        return embeds, torch.cat([prompt.mask, tokens.mask], dim=1)

    def _log_probs(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, : self.vocab_size].log_softmax(1)

    @torch.no_grad()
    def score(
        self, ys: torch.Tensor, state: Optional[Context], x: torch.Tensor
    ) -> Tuple[torch.Tensor, Context]:
        """Return the log-probabilities (V,) of the token after `ys` (n,)."""
        if state is None:
            lengths = torch.tensor([len(x)], device=x.device)
            scores, state = self.begin(Padded(x[None], lengths), ys[None])
        else:
            # Several hypotheses may follow from one, each with its own continuation.
            scores, state = self.step(ys[-1:], state.select([0]))
        return scores[0], state

    @torch.no_grad()
    def batch_score(
        self,
        ys: torch.Tensor,
        states: List[Optional[int]],
        xs: torch.Tensor,
        xs_mask: Optional[torch.Tensor] = None,
    ) -> Tuple[torch.Tensor, List[int]]:
        """Score the next tokens of several hypotheses, of one or more utterances.

        A state is a row of the last call, which the decoder keeps: ESPnet holds on to
        the states of all hypotheses that ended, which must not be keys and values.

        Args:
            ys: (N, n) tokens with sos.
            states: of each hypothesis as the last call returned them, None at first.
            xs: (N, T, D) encoder output.
            xs_mask: (N, 1, T) True at its valid frames.

        Returns:
            (N, V) log-probabilities, and states.
        """
        if states[0] is None:
            if xs_mask is None:
                lengths = torch.full((len(xs),), xs.shape[1], device=xs.device)
            else:
                lengths = xs_mask.sum(2)[:, 0]
            scores, self._scored = self.begin(Padded(xs, lengths), ys)
        else:
            scores, self._scored = self.step(ys[:, -1], self._scored.select(states))
        return scores, list(range(len(ys)))


def _begin(lm, model) -> int:
    ids = (lm.config.bos_token_id, lm.config.eos_token_id)
    for found in ids:
        if found is not None:
            return found if isinstance(found, int) else found[0]
    raise InputError(f"causal LM {model!r}: its config.json has no bos_token_id")
