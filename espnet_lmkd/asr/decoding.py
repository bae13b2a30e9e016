"""Decode test sets with a trained recogniser."""

import dataclasses
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import List, NamedTuple, Optional

import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text
from humanfriendly import parse_size
from tqdm import tqdm

import espnet_lmkd.asr.task  # noqa: F401  models of this pack load by name
from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.ctc_greedy import ctc_greedy
from espnet_lmkd.asr.inputs import read_input, read_inputs
from espnet_lmkd.data.directory import write_lines, write_table
from espnet_lmkd.errors import InputError

SEARCHES = ("ctc_greedy", "beam")
SHORTEST = 0.03  # seconds; the padding of a short-time Fourier transform needs this


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What `conf/decode_*.yaml` holds.

    Args:
        search: `ctc_greedy`, or ESPnet's `beam` with the options below.
        beam_size: hypotheses kept.
        ctc_weight: weight of CTC; the attention decoder has the rest of 1.
        lm_weight: weight of the language model.
        penalty: reward of each token.
        maxlenratio, minlenratio: limits of the length relative to encoder frames.
    """

    search: str = "ctc_greedy"
    beam_size: int = 10
    ctc_weight: float = 1.0
    lm_weight: float = 0.0
    penalty: float = 0.0
    maxlenratio: float = 0.0
    minlenratio: float = 0.0

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
        if options.search not in SEARCHES:
            raise InputError(
                f"{path}: unknown search {options.search!r}; choose from {SEARCHES}"
            )
        return options


class Hypothesis(NamedTuple):
    """What was recognised in one utterance."""

    text: str
    tokens: List[str]
    token_ids: List[int]
    score: float


class Recogniser:
    """A trained model with one search, checked to be what its files say.

    Args:
        train_config: `config.yaml` of the training.
        model_file: checkpoint.
        options: the search.
        lm_train_config, lm_file: language model for `lm_weight`.
        device: `cpu` or `cuda`.

    Raises:
        InputError: a file does not exist, the checkpoint does not belong to the
            configuration, or the search asks for what the model lacks.
    """

    def __init__(
        self,
        train_config,
        model_file,
        options: SearchOptions,
        lm_train_config=None,
        lm_file=None,
        device: str = "cpu",
    ):
        files = [train_config, model_file]
        greedy = options.search == "ctc_greedy"
        with_lm = options.lm_weight != 0 and not greedy
        if with_lm:
            if lm_train_config is None or lm_file is None:
                raise InputError(
                    f"lm_weight {options.lm_weight} needs --lm_train_config and "
                    "--lm_file; give them or set lm_weight: 0"
                )
            files += [lm_train_config, lm_file]
        for path in files:
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file; train the model first")
        self.options, self.device = options, device
        self.speech2text = Speech2Text(
            str(train_config),
            str(model_file),
            lm_train_config=str(lm_train_config) if with_lm else None,
            lm_file=str(lm_file) if with_lm else None,
            device=device,
            beam_size=options.beam_size,
            ctc_weight=1.0 if greedy else options.ctc_weight,
            lm_weight=options.lm_weight if with_lm else 0.0,
            penalty=options.penalty,
            maxlenratio=options.maxlenratio,
            minlenratio=options.minlenratio,
        )
        self.model = self.speech2text.asr_model
        check_checkpoint(self.model, model_file)
        modules = [self.model]
        if with_lm:
            lm = self.speech2text.beam_search.scorers["lm"]
            check_checkpoint(lm, lm_file, prefix="lm.")
            tokens = yaml.safe_load(Path(lm_train_config).read_text())["token_list"]
            if tokens != self.model.token_list:
                raise InputError(
                    f"{lm_train_config}: the language model has another token list "
                    f"than {train_config}; train it on the student's tokens (stage 8)"
                )
            modules.append(lm)
        if not greedy and options.ctc_weight < 1 and self.model.decoder is None:
            raise InputError(
                f"ctc_weight {options.ctc_weight} needs an attention decoder, which "
                f"{train_config} does not have; set ctc_weight: 1.0"
            )
        self.files = [Path(path) for path in files]
        self.num_parameters = sum(
            parameter.numel()
            for module in modules
            for name, parameter in module.named_parameters()
            if not name.startswith("distillers.")
        )
        conf = getattr(self.speech2text.asr_train_args, "frontend_conf", {})
        self.sample_rate = parse_size(str(conf.get("fs", 16000)))

    def __call__(self, speech) -> Hypothesis:
        """Recognise (N,) samples or (T, E) features, or raise `TooShortUttError`."""
        if speech.ndim == 1 and len(speech) < SHORTEST * self.sample_rate:
            shortest = int(SHORTEST * self.sample_rate)
            raise TooShortUttError("too short to decode", len(speech), shortest)
        if self.options.search == "ctc_greedy":
            speech = torch.as_tensor(speech, device=self.device)
            token_ids, score = ctc_greedy(self.model, speech)
            tokens = self.speech2text.converter.ids2tokens(token_ids)
            text = self.speech2text.tokenizer.tokens2text(tokens)
            return Hypothesis(self._clean(text), tokens, token_ids, score)
        results = self.speech2text(speech)
        if isinstance(results, tuple):  # with the greedy results of InterCTC
            results = results[0]
        text, tokens, token_ids, best = results[0]
        return Hypothesis(self._clean(text), tokens, token_ids, float(best.score))

    def _clean(self, text: str) -> str:
        """Undo WordPiece's space around apostrophes: don ' t."""
        if self.speech2text.asr_train_args.token_type == "hugging_face":
            return text.replace(" ' ", "'")
        return text


def check_checkpoint(model: torch.nn.Module, path, prefix: str = "") -> None:
    """Load a checkpoint once more and refuse one of other parameters.

    ESPnet loads what fits and leaves the rest random without a word.

    Args:
        model: what was built for it.
        path: checkpoint.
        prefix: of the names in the checkpoint.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    stored = {name.removeprefix(prefix): value for name, value in stored.items()}
    missing, unknown = model.load_state_dict(stored, strict=False)
    if missing or unknown:
        raise InputError(
            f"{path} is not a checkpoint of this configuration: {len(missing)} "
            f"parameters are missing {missing[:3]}, {len(unknown)} are unknown "
            f"{unknown[:3]}; give the config.yaml it was trained with"
        )


def decode_set(
    recogniser: Recogniser, data_dir, output_dir, num_utts: Optional[int] = None
) -> None:
    """Decode a data directory into `text`, `token`, `token_int`, `score`, `rtf.json`.

    A set that was decoded with the same files and options is left as it is. An
    utterance too short for the encoder gets an empty hypothesis and is named in a
    warning.

    Args:
        recogniser: model and search.
        data_dir: with `wav.scp`, or with `feats.scp` of dumped features.
        output_dir: `<experiment>/<decode tag>/<test set>`.
        num_utts: decode only so many, evenly spread.
    """
    output_dir = Path(output_dir)
    inputs = read_inputs(data_dir, num_utts)
    done = {
        "options": dataclasses.asdict(recogniser.options),
        "files": {str(p): version(p) for p in recogniser.files},
        "inputs": hashlib.sha256(json.dumps(inputs.files).encode()).hexdigest(),
    }
    report = output_dir / "rtf.json"
    if report.is_file() and json.loads(report.read_text()).get("decoded") == done:
        logging.warning(f"{output_dir}: already decoded")
        return
    hypotheses, too_short, audio, compute = {}, [], 0.0, 0.0
    for utterance, path in tqdm(inputs.files.items(), desc=str(output_dir), unit="utt"):
        speech = read_input(path, recogniser.sample_rate)
        start = time.perf_counter()
        try:
            hypotheses[utterance] = recogniser(speech)
        except TooShortUttError:
            hypotheses[utterance] = Hypothesis("", [], [], 0.0)
            too_short.append(utterance)
        compute += time.perf_counter() - start
        audio += inputs.seconds.get(utterance, len(speech) / recogniser.sample_rate)
    if too_short:
        logging.warning(
            f"{data_dir}: {len(too_short)} utterances are too short for the encoder "
            f"and have an empty hypothesis: {too_short}"
        )
    columns = {
        "text": {utt: hyp.text for utt, hyp in hypotheses.items()},
        "token": {utt: " ".join(hyp.tokens) for utt, hyp in hypotheses.items()},
        "token_int": {
            utt: " ".join(map(str, hyp.token_ids)) for utt, hyp in hypotheses.items()
        },
        "score": {utt: f"{hyp.score:.4f}" for utt, hyp in hypotheses.items()},
    }
    for name, table in columns.items():
        write_table(output_dir / name, table)
    rtf = {
        "seconds_audio": round(audio, 3),
        "seconds_compute": round(compute, 3),
        "rtf": compute / max(audio, 1e-9),
        "search": recogniser.options.search,
        "device": recogniser.device,
        "threads": torch.get_num_threads(),
        "parameters": recogniser.num_parameters,
        "decoded": done,
    }
    write_lines(report, [json.dumps(rtf, indent=2)])


def version(path) -> List[int]:
    """Return size and time of a file: another checkpoint is decoded again."""
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns]
