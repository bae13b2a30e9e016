"""A trained recogniser with one search."""

from pathlib import Path
from typing import List, NamedTuple, Optional

import soundfile
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text

import espnet_lmkd.asr.task  # noqa: F401  models of this pack load by name
from espnet_lmkd.asr.checkpoint import check_checkpoint, read_checkpoint
from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.ctc_greedy import ctc_greedy
from espnet_lmkd.asr.encoding import encode_one
from espnet_lmkd.asr.inputs import Hearing, Inputs
from espnet_lmkd.asr.search import SearchOptions, check_lm, check_model, check_options
from espnet_lmkd.asr.speech_prompt import generation as speech_prompt
from espnet_lmkd.asr.speech_prompt.causal_lm import TooManyVectorsError
from espnet_lmkd.asr.speech_prompt.ctc_guide import CTCGuide
from espnet_lmkd.asr.streaming_encoder import watch_length
from espnet_lmkd.asr.token_reward import set_transducer_weights
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

SLOWEST_FEATURES = 12.5  # a second; faster ones get room for more tokens


class Hypothesis(NamedTuple):
    """What was recognised in one utterance, and which limit of a search ended it."""

    text: str
    tokens: List[str]
    token_ids: List[int]
    score: float
    limit: Optional[str] = None


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
        check_options(options)
        files = [train_config, model_file]
        if options.with_lm:
            if lm_train_config is None or lm_file is None:
                raise InputError(
                    f"lm_weight {options.lm_weight} needs --lm_train_config and "
                    "--lm_file; give them or set lm_weight: 0"
                )
            files += [lm_train_config, lm_file]
        for path in files:
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file; train the model first")
        for path in files[1::2]:
            read_checkpoint(path)
        self.options, self.device = options, device
        if options.with_lm:
            lm_conf = yaml.safe_load(Path(lm_train_config).read_text())
            check_lm(options, lm_conf["lm"])
        self.speech2text = Speech2Text(
            str(train_config),
            str(model_file),
            transducer_conf=options.of_transducer,
            lm_train_config=str(lm_train_config) if options.with_lm else None,
            lm_file=str(lm_file) if options.with_lm else None,
            device=device,
            beam_size=options.beam_size,
            ctc_weight=1.0 if options.search == "ctc_greedy" else options.ctc_weight,
            lm_weight=options.lm_weight if options.with_lm else 0.0,
            penalty=options.penalty,
            maxlenratio=options.maxlenratio,
            minlenratio=options.minlenratio,
            nbest=options.beam_size if options.nbest > 1 else 1,
        )
        self.model = self.speech2text.asr_model
        check_checkpoint(self.model, model_file)
        check_model(options, self.model, train_config)
        watch_length(self.model.encoder)
        modules = [self.model]
        if options.with_lm:
            lm = self._language_model()
            check_checkpoint(lm, lm_file, prefix="lm.")
            if lm_conf["token_list"] != self.model.token_list:
                raise InputError(
                    f"{lm_train_config}: the language model has another token list "
                    f"than {train_config}; train it on the student's tokens (stage 8)"
                )
            modules.append(lm)
        self.files = [Path(path) for path in files]
        self.num_parameters = sum(
            parameter.numel()
            for module in modules
            for name, parameter in module.named_parameters()
            if not name.startswith("distillers.")
        )
        if options.student:
            config = Path(options.student).parent / "config.yaml"
            self.student = Recogniser(
                config, options.student, SearchOptions("ctc_greedy"), device=device
            )
            self.files += self.student.files
            self.num_parameters += self.student.num_parameters
        self.hearing = Hearing.of(vars(self.speech2text.asr_train_args))
        self.sample_rate = self.hearing.sample_rate

    def __call__(self, speech) -> Hypothesis:
        """Recognise (N,) samples or (T, E) features, or raise `TooShortUttError`."""
        return self.nbest(speech)[0]

    def nbest(self, speech) -> List[Hypothesis]:
        """Return the best hypotheses, at most `options.nbest`; see `__call__`."""
        self.hearing.check(speech)
        if self.options.search == "ctc_greedy":
            speech = torch.as_tensor(speech, device=self.device)
            return [self._hypothesis(*ctc_greedy(self.model, speech))]
        if self.options.search == "cif_parallel":
            found = self.model.decoder.parallel_decode(self._encode(speech))
            return [self._hypothesis(*found[0])]
        if self.options.search == "speech_prompt":
            encoded = self._encode(speech).data[0]
            return self._generate([encoded], [self._seconds(speech)], [speech])
        results = self.speech2text(speech)
        if isinstance(results, tuple):  # with the greedy results of InterCTC
            results = results[0]
        different = {}  # a transducer's search finds a text by several paths
        for text, tokens, ids, hyp in results:
            found = Hypothesis(self._clean(text), tokens, ids, float(hyp.score))
            different.setdefault(tuple(ids), found)
        return list(different.values())[: self.options.nbest]

    def batches(self, inputs: Inputs) -> List[List[str]]:
        """Group the utterances that are decoded at once."""
        if self.options.search != "speech_prompt":
            return [[utterance] for utterance in inputs.files]
        seconds = inputs.seconds or {
            utterance: soundfile.info(path).duration
            for utterance, path in inputs.files.items()
        }
        return speech_prompt.batches(seconds, self.options.batch_seconds)

    def recognise(self, speeches, seconds: List[float]) -> List[List[Hypothesis]]:
        """Recognise a batch; nothing comes of what is too short for the encoder."""
        results, encoded = [[] for _ in speeches], {}
        for index, speech in enumerate(speeches):
            try:
                if self.options.search == "speech_prompt":
                    self.hearing.check(speech)
                    encoded[index] = self._encode(speech).data[0]
                else:
                    results[index] = self.nbest(speech)
            except TooShortUttError:
                continue
        if encoded:
            lengths = [seconds[index] for index in encoded]
            heard = [speeches[index] for index in encoded]
            found = self._generate(list(encoded.values()), lengths, heard)
            for index, hypothesis in zip(encoded, found):
                results[index] = [hypothesis]
        return results

    def _generate(self, encoded, seconds: List[float], heard) -> List[Hypothesis]:
        guides = (
            [self._guide(speech) for speech in heard] if self.options.student else []
        )
        try:
            found = speech_prompt.generate(
                self.model.decoder,
                encoded,
                seconds,
                self.model.sos,
                self.model.eos,
                self.options.beam_size,
                speech_prompt.Limits(**self.options.limits),
                guides,
            )
        except TooManyVectorsError:
            if len(encoded) == 1:
                return [Hypothesis("", [], [], 0.0, "positions")]
            singly = ([[x] for x in one] for one in zip(encoded, seconds, heard))
            return [self._generate(*one)[0] for one in singly]
        return [self._hypothesis(*hypothesis) for hypothesis in found]

    def _guide(self, speech) -> CTCGuide:
        student = self.student
        frames = student._encode(speech).data
        return CTCGuide(
            student.model.ctc.log_softmax(frames)[0],
            lambda token_ids: self._hypothesis(token_ids, 0.0).text,
            student.spell,
            self.options.student_weight,
        )

    def spell(self, text: str) -> List[int]:
        """Return the ids of a text, in capitals where tokens have no small letters."""
        pieces = [t for t in self.model.token_list if not t.startswith("<")]
        if all(piece == piece.upper() for piece in pieces):
            text = text.upper()
        tokens = self.speech2text.tokenizer.text2tokens(text)
        return self.speech2text.converter.tokens2ids(tokens)

    def _seconds(self, speech) -> float:
        """Return how long speech lasts; nobody says how fast features are."""
        rate = self.sample_rate if speech.ndim == 1 else SLOWEST_FEATURES
        return len(speech) / rate

    @torch.no_grad()
    def _encode(self, speech) -> Padded:
        return encode_one(self.model, torch.as_tensor(speech, device=self.device))

    def _hypothesis(self, token_ids, score, limit=None) -> Hypothesis:
        tokens = self.speech2text.converter.ids2tokens(token_ids)
        text = self.speech2text.tokenizer.tokens2text(tokens)
        return Hypothesis(self._clean(text), tokens, token_ids, score, limit)

    def _language_model(self) -> torch.nn.Module:
        if self.options.search != "transducer":
            return self.speech2text.beam_search.scorers["lm"]
        search = self.speech2text.beam_search_transducer
        return set_transducer_weights(search, self.options)

    def _clean(self, text: str) -> str:
        """Undo WordPiece's space around apostrophes (don ' t), an LLM's new lines."""
        if self.speech2text.asr_train_args.token_type == "hugging_face":
            return " ".join(text.replace(" ' ", "'").split())
        return text
