"""Recognise speech as it arrives with a streaming transducer."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Union

import numpy as np
import torch

from espnet_lmkd.asr.decode_set import decode_set
from espnet_lmkd.asr.decoding import Hypothesis, Recogniser, SearchOptions
from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.asr.streaming_encoder import EncoderStream, check_streams
from espnet_lmkd.asr.streaming_search import SearchStream
from espnet_lmkd.data.directory import write_lines
from espnet_lmkd.errors import InputError


@dataclasses.dataclass(frozen=True)
class StreamingOptions(SearchOptions):
    """Options of a search in pieces of audio.

    Args:
        search, beam_size, ...: see `SearchOptions`; beam size 1 is greedy.
        chunk_seconds: audio in a piece.
    """

    search: str = "transducer"
    beam_size: int = 1
    chunk_seconds: float = 0.32


@dataclasses.dataclass(frozen=True)
class Latency:
    """When the words of one utterance were there, in a feed at the speed of speech.

    A piece of audio is processed when it has arrived and the one before is done, and
    takes as long as it took here. All times in seconds.

    Args:
        audio: length of the utterance.
        compute: time of all pieces together.
        first_token: from the start of the audio to the first token shown; None where
            there was none.
        first_token_audio: audio that had arrived by then: `first_token` of a machine
            without computing time.
        last_token_audio: audio that had arrived when the hypothesis became the final
            one, which it may have been before, too.
        final: from the end of the audio to the final hypothesis.
    """

    audio: float
    compute: float
    first_token: Optional[float]
    first_token_audio: Optional[float]
    last_token_audio: Optional[float]
    final: float


class Stream:
    """One utterance that is being heard.

    Args:
        recogniser: the model; any number of streams may share it.
    """

    def __init__(self, recogniser: "StreamingRecogniser"):
        self.recogniser = recogniser
        self.encoder = EncoderStream(recogniser.model)
        self.search = SearchStream(recogniser.speech2text.beam_search_transducer)

    @torch.no_grad()
    def accept(
        self, samples: Union[torch.Tensor, np.ndarray], is_final: bool = False
    ) -> Hypothesis:
        """Hear the next samples and return what is recognised so far.

        Args:
            samples: (N,) float32 at the student's rate; N may be 0.
            is_final: no more will come.

        Raises:
            TooShortUttError: at the end, for an utterance too short for the encoder.
        """
        samples = torch.as_tensor(
            samples, dtype=torch.float32, device=self.recogniser.device
        )
        best = self.search(self.encoder(samples, is_final))
        return self.recogniser._hypothesis(best.yseq[1:], best.score)


class StreamingRecogniser(Recogniser):
    """A trained streaming transducer; called on an utterance, it hears it in pieces.

    Args:
        train_config, model_file, options, lm_train_config, lm_file, device: see
            `Recogniser`.

    Attributes:
        latencies: of each call so far, None where the utterance was too short.

    Raises:
        InputError: the model is no transducer or cannot stream; and see `Recogniser`.

    Example:
        >>> stream = recogniser.stream()  # doctest: +SKIP
        >>> for samples in microphone:  # doctest: +SKIP
        ...     print(stream.accept(samples).text)
        >>> stream.accept([], is_final=True).text  # doctest: +SKIP
    """

    def __init__(
        self, train_config, model_file, options: StreamingOptions, *args, **kw
    ):
        if options.chunk_seconds <= 0:
            raise InputError(
                f"chunk_seconds {options.chunk_seconds}: more than 0 is wanted"
            )
        if options.search != "transducer":
            raise InputError(
                f"search: {options.search} cannot stream; use search: transducer, or "
                "for other models ESPnet's espnet2.bin.asr_inference_streaming"
            )
        if options.nbest > 1:
            raise InputError(f"nbest: {options.nbest}: a stream has one hypothesis")
        if options.penalty:
            raise InputError(
                f"penalty: {options.penalty}: it rewards no more tokens than there are"
                " frames, which a stream does not know; leave it out"
            )
        super().__init__(train_config, model_file, options, *args, **kw)
        check_streams(self.model, train_config)
        self.latencies: List[Optional[Latency]] = []
        self.stream()  # refuses a search that cannot stream

    def stream(self) -> Stream:
        """Begin an utterance."""
        return Stream(self)

    def nbest(self, speech: np.ndarray) -> List[Hypothesis]:
        """Recognise (N,) samples piece by piece and note the latency; one is found."""
        self.latencies.append(None)
        size = max(1, round(self.options.chunk_seconds * self.sample_rate))
        hypothesis, self.latencies[-1] = feed(
            self.stream(), speech, size, self.sample_rate
        )
        return [hypothesis]


def feed(
    stream: Stream, speech: np.ndarray, size: int, sample_rate: int
) -> Tuple[Hypothesis, Latency]:
    """Play an utterance to a stream as fast as it was spoken, without waiting.

    done_i = max(arrived_i, done_{i-1}) + compute_i

    Args:
        stream: where nothing was heard yet.
        speech: (N,) samples.
        size: samples in a piece.
        sample_rate: samples in a second.
    """
    done, compute, token_ids = 0.0, 0.0, []
    first_token = first_token_audio = last_token_audio = None
    for begin in range(0, max(1, len(speech)), size):
        end = min(begin + size, len(speech))
        start = time.perf_counter()
        hypothesis = stream.accept(speech[begin:end], is_final=end == len(speech))
        spent = time.perf_counter() - start
        compute += spent
        arrived = end / sample_rate
        done = max(arrived, done) + spent
        if hypothesis.token_ids and first_token is None:
            first_token, first_token_audio = done, arrived
        if hypothesis.token_ids != token_ids:
            token_ids, last_token_audio = hypothesis.token_ids, arrived
    return hypothesis, Latency(
        audio=arrived,
        compute=compute,
        first_token=first_token,
        first_token_audio=first_token_audio,
        last_token_audio=last_token_audio if token_ids else None,
        final=done - arrived,
    )


def summary(latencies: List[Latency]) -> Dict:
    """Return mean, median and 90th percentile of each time, and the real time factor.

    Utterances without tokens count for `final` and `rtf` only.
    """
    times = {}
    for name in ("first_token", "first_token_audio", "last_token_audio", "final"):
        values = [getattr(latency, name) for latency in latencies]
        values = [value for value in values if value is not None]
        if values:
            times[name] = {
                "mean": float(np.mean(values)),
                "median": float(np.median(values)),
                "p90": float(np.percentile(values, 90)),
            }
    audio = sum(latency.audio for latency in latencies)
    compute = sum(latency.compute for latency in latencies)
    silent = sum(latency.first_token is None for latency in latencies)
    rtf = compute / max(audio, 1e-9)
    return {**times, "rtf": rtf, "without_tokens": silent}


def stream_set(
    recogniser: StreamingRecogniser,
    data_dir,
    output_dir,
    num_utts: Optional[int] = None,
) -> None:
    """Decode a data directory in pieces: the files of `decode_set`, and `latency.json`.

    Args:
        recogniser: model, search and size of the pieces.
        data_dir: with `wav.scp`.
        output_dir: `<experiment>/<decode tag>/<test set>`.
        num_utts: decode only so many, evenly spread.

    Raises:
        InputError: the directory holds features instead of speech.
    """
    if (Path(data_dir) / "feats.scp").is_file():
        raise InputError(f"{data_dir}: dumped features cannot stream; give speech")
    report = Path(output_dir) / "latency.json"
    if not report.is_file():  # interrupted before it: decode again
        (Path(output_dir) / "rtf.json").unlink(missing_ok=True)
    recogniser.latencies = []
    decode_set(recogniser, data_dir, output_dir, num_utts)
    if not recogniser.latencies:
        return  # already decoded
    utterances = dict(zip(read_inputs(data_dir, num_utts).files, recogniser.latencies))
    heard = {utt: latency for utt, latency in utterances.items() if latency}
    table = {
        "chunk_seconds": recogniser.options.chunk_seconds,
        **summary(list(heard.values())),
        "too_short": len(utterances) - len(heard),
        "utterances": {utt: dataclasses.asdict(heard[utt]) for utt in heard},
    }
    write_lines(report, [json.dumps(table, indent=2)])
    print(f"{report}: {summary(list(heard.values()))}")
