"""What is searched, and how: options of a decoding and whether a model has them."""

import dataclasses
from pathlib import Path
from typing import Any, Dict

import torch
import yaml

from espnet_lmkd.asr.cif_decoder import CIFDecoder
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.asr.speech_prompt.generation import Limits
from espnet_lmkd.errors import InputError

SEARCHES = ("ctc_greedy", "beam", "cif_parallel", "transducer", "speech_prompt")
TRANSDUCER_SEARCHES = ("default", "tsd", "alsd", "nsc", "maes", "mbg")
TRANSDUCER_OPTIONS = (
    *("search_type", "score_norm", "score_norm_during", "max_sym_exp", "u_max"),
    *("nstep", "prefix_alpha", "expansion_gamma", "expansion_beta"),
)


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What `conf/decode_*.yaml` holds.

    Args:
        search: `ctc_greedy`; ESPnet's `beam` of attention decoders, CIF and CTC;
            `cif_parallel`, all tokens at once; ESPnet's `transducer`, which heeds
            `beam_size`, `lm_weight`, `penalty` and `transducer_conf`;
            `speech_prompt`, in batches, which heeds `beam_size` and the last four.
        beam_size: hypotheses kept; 1 is a greedy search but for `beam`.
        ctc_weight: weight of CTC; the attention decoder has the rest of 1.
        lm_weight: weight of the language model.
        penalty: reward of each token; of a transducer only beside a language model.
        maxlenratio, minlenratio: limits of the length relative to encoder frames.
        transducer_conf: more of `BeamSearchTransducer`, such as search_type `default`
            or `maes`, and score_norm.
        nbest: hypotheses that `beam` and `transducer` give, the best first.
        batch_seconds: of speech that are decoded at once.
        limits: options of `speech_prompt.generation.Limits`.
        student: checkpoint of a CTC recogniser of any vocabulary that has a say.
        student_weight: of its log-probability beside the language model's.
    """

    search: str = "ctc_greedy"
    beam_size: int = 10
    ctc_weight: float = 1.0
    lm_weight: float = 0.0
    penalty: float = 0.0
    maxlenratio: float = 0.0
    minlenratio: float = 0.0
    transducer_conf: Dict[str, Any] = dataclasses.field(default_factory=dict)
    nbest: int = 1
    batch_seconds: float = 120.0
    limits: Dict[str, Any] = dataclasses.field(default_factory=dict)
    student: str = ""
    student_weight: float = 0.5

    @classmethod
    def from_yaml(cls, path) -> "SearchOptions":
        """Read options; an unknown one is an error that lists the choices."""
        if not Path(path).is_file():
            raise InputError(f"{path}: no such decoding configuration")
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        choices = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(given) - set(choices))
        if unknown:
            raise InputError(f"{path}: unknown option {unknown}; choose from {choices}")
        options = cls(**given)
        try:
            check_options(options)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return options

    @property
    def with_lm(self) -> bool:
        """Whether a language model takes part."""
        return self.lm_weight != 0 and self.search in ("beam", "transducer")

    @property
    def of_transducer(self) -> Dict[str, Any]:
        """Options of ESPnet's `BeamSearchTransducer` that it has alone."""
        if self.nbest == 1:
            return self.transducer_conf
        return {**self.transducer_conf, "nbest": self.beam_size}

    @property
    def search_type(self) -> str:
        """Which of ESPnet's transducer searches it is."""
        return self.transducer_conf.get("search_type", "default")


def check_options(options: SearchOptions) -> None:
    """Refuse a search that does not exist or does not heed what is asked of it."""
    if options.search not in SEARCHES:
        raise InputError(f"unknown search {options.search!r}; choose from {SEARCHES}")
    choices = [field.name for field in dataclasses.fields(Limits)]
    unknown = sorted(set(options.limits) - set(choices))
    if unknown:
        raise InputError(f"unknown option {unknown} of limits; choose from {choices}")
    if options.limits and options.search != "speech_prompt":
        raise InputError("limits are for search: speech_prompt only")
    if options.student and options.search != "speech_prompt":
        raise InputError("student is for search: speech_prompt only")
    most = options.beam_size if options.search in ("beam", "transducer") else 1
    if not 1 <= options.nbest <= most:
        raise InputError(
            f"nbest: 1 .. {most} with this search and beam_size, got {options.nbest}"
        )
    if options.search != "transducer":
        if options.transducer_conf:
            raise InputError("transducer_conf is for search: transducer only")
        return
    unknown = sorted(set(options.transducer_conf) - set(TRANSDUCER_OPTIONS))
    if unknown:
        raise InputError(
            f"unknown option {unknown} of transducer_conf; choose from "
            f"{TRANSDUCER_OPTIONS}"
        )
    if options.nbest > 1 and options.transducer_conf.get("score_norm", True):
        raise InputError(
            "nbest: scores are to be added to, and score_norm ranks by score / length;"
            " set transducer_conf: {score_norm: false}"
        )
    if options.search_type not in TRANSDUCER_SEARCHES:
        raise InputError(
            f"unknown search_type {options.search_type!r}; choose from "
            f"{TRANSDUCER_SEARCHES}"
        )
    for name in ("maxlenratio", "minlenratio"):
        if getattr(options, name) != 0:
            raise InputError(f"search: transducer has no {name}; leave it out")
    if options.penalty != 0 and options.lm_weight == 0:
        raise InputError(
            "search: transducer has a penalty beside a language model only; set"
            " lm_weight or penalty: 0"
        )
    greedy = options.beam_size == 1 or options.search_type == "mbg"
    if options.lm_weight != 0 and greedy:
        raise InputError(
            "a greedy search asks no language model; set lm_weight: 0 or beam_size: 5"
        )


def check_lm(options: SearchOptions, kind: str) -> None:
    """Refuse a language model that ESPnet's search does not take.

    Args:
        options: the search.
        kind: `lm` of the language model's config.yaml.
    """
    if kind == "transformer" and options.search_type not in ("default", "mbg"):
        raise InputError(
            f"search_type: {options.search_type} takes no Transformer language model; "
            "use search_type: default or lm: seq_rnn"
        )


def check_model(options: SearchOptions, model: torch.nn.Module, config) -> None:
    """Refuse a search for which the model lacks what it takes.

    Args:
        options: the search.
        model: an `ESPnetASRModel`.
        config: where the model is described, for the message.
    """
    transducer = model.use_transducer_decoder
    prompted = isinstance(model.decoder, SpeechPromptDecoder)
    if options.search == "speech_prompt" and not prompted:
        raise InputError(
            f"search: speech_prompt needs decoder: lmkd_speech_prompt, which {config} "
            "does not have; use another search"
        )
    if options.search == "cif_parallel" and (
        not isinstance(model.decoder, CIFDecoder) or model.decoder.autoregressive
    ):
        raise InputError(
            "search: cif_parallel needs decoder: lmkd_cif with autoregressive: false, "
            f"which {config} does not have; use search: beam"
        )
    if options.search == "transducer" and not transducer:
        raise InputError(
            f"search: transducer needs decoder: transducer, which {config} does not "
            "have; use search: ctc_greedy or beam"
        )
    if options.search == "beam" and transducer:
        raise InputError(f"{config} is a transducer; use search: transducer")
    if options.search == "ctc_greedy" and model.ctc is None:
        other = "transducer" if transducer else "beam"
        raise InputError(
            "ctc_greedy needs a student with ctc_weight > 0, which "
            f"{config} does not have; use search: {other}"
        )
    if options.search == "beam" and options.ctc_weight < 1 and model.decoder is None:
        raise InputError(
            f"ctc_weight {options.ctc_weight} needs an attention decoder, which "
            f"{config} does not have; set ctc_weight: 1.0"
        )
    if options.search == "beam" and options.ctc_weight > 0 and model.ctc is None:
        raise InputError(
            f"ctc_weight {options.ctc_weight} of search: beam needs a student with CTC,"
            f" which {config} does not have; set ctc_weight: 0 in the decoding"
            " configuration"
        )
