"""A transducer that hears an utterance in pieces, how late it is, and its commands."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import torch
import yaml
from tiny_experiment import LENGTHS, make_lm, make_speech, make_student
from tiny_streaming import make_streaming_student

from espnet_lmkd.bin import asr_inference_streaming
from espnet_lmkd.errors import InputError


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with speech, a streaming transducer and a CTC model."""
    from espnet_lmkd.asr import streaming  # noqa: F401  slow import

    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    make_streaming_student(root, "asr_rnnt")
    make_student(root, "asr_ctc").joinpath("valid.cer_ctc.ave.pth").rename(
        root / "asr_ctc" / "valid.loss.ave.pth"
    )
    return root


def files(world, name="asr_rnnt"):
    return world / name / "config.yaml", world / name / "valid.loss.ave.pth"


def recogniser(world, name="asr_rnnt", **changes):
    from espnet_lmkd.asr.streaming import StreamingOptions, StreamingRecogniser

    return StreamingRecogniser(*files(world, name), StreamingOptions(**changes))


def arguments(world, output_dir, *more):
    config, model = files(world)
    return [
        *("--asr_train_config", str(config), "--asr_model_file", str(model)),
        *("--data_dirs", str(world / "dump" / "test")),
        *("--output_dir", str(output_dir), *more),
    ]


@pytest.fixture(scope="module")
def offline(world):
    """Return what stock ESPnet recognises in whole utterances: name -> results."""
    from espnet2.bin.asr_inference import Speech2Text

    from espnet_lmkd.asr.inputs import read_input

    config, model = map(str, files(world))
    found = {}
    for beam_size in (1, 2):
        speech2text = Speech2Text(config, model, beam_size=beam_size)
        for name in ("s1-a", "s1-b", "s2-c"):
            speech = read_input(world / f"{name}.wav", 16_000)
            found[name, beam_size] = speech, *speech2text(speech)[0]
    return found


@pytest.mark.parametrize("beam_size", [1, 2])
@pytest.mark.parametrize("chunk_seconds", [0.03, 0.1, 0.6, 5.0])
def test_pieces_are_recognised_as_the_utterance(
    world, offline, beam_size, chunk_seconds
):
    ours = recogniser(world, beam_size=beam_size, chunk_seconds=chunk_seconds)
    lengths = set()
    for (name, size), (speech, text, tokens, token_ids, best) in offline.items():
        if size == beam_size:
            found = ours(speech)
            assert found[:3] == (text, tokens, token_ids), name
            assert found.score == pytest.approx(float(best.score), rel=1e-3)
            lengths.add(len(token_ids))
    assert max(lengths) > (10 if beam_size == 1 else 0) and len(ours.latencies) == 3


def test_partial_hypotheses_grow_and_streams_are_apart(world, offline):
    ours = recogniser(world)
    streams = {name: ours.stream() for name in ("s1-a", "s1-b")}
    shown = {name: [[]] for name in streams}
    for begin in range(0, 16_000, 1_000):
        for name, stream in streams.items():
            speech = offline[name, 1][0]
            if begin < len(speech):
                last = begin + 1_000 >= len(speech)
                hypothesis = stream.accept(speech[begin : begin + 1_000], last)
                shown[name].append(hypothesis.token_ids)
    for name, partial in shown.items():
        assert partial[-1] == offline[name, 1][3]
        for before, after in zip(partial, partial[1:]):
            assert after[: len(before)] == before  # greedy search takes nothing back
        assert any(0 < len(ids) < len(partial[-1]) for ids in partial)


class FakeStream:
    """Shows `words[i]` after piece i, which takes `seconds[i]` on the fake clock."""

    def __init__(self, seconds, words):
        self.pieces, self.now = list(zip(seconds, words)), 0.0

    def accept(self, samples, is_final):
        from espnet_lmkd.asr.decoding import Hypothesis

        seconds, words = self.pieces.pop(0)
        self.now += seconds
        assert is_final == (not self.pieces)
        return Hypothesis("", [], [int(word) for word in words], 0.0)


@pytest.mark.parametrize(
    "seconds, words, expected",
    [
        # A machine that is faster than speech; pieces arrive at 1, 2, 3 and 3.5 s.
        (
            (0.2, 0.2, 0.2, 0.1),
            ("", "1", "12", "12"),
            dict(first_token=2.2, first_token_audio=2, last_token_audio=3, final=0.1),
        ),
        # A slower one: done at 2.5 (1 + 1.5), 4, 5.5 and 6.5.
        (
            (1.5, 1.5, 1.5, 1.0),
            ("", "", "3", "4"),
            dict(first_token=5.5, first_token_audio=3, last_token_audio=3.5, final=3.0),
        ),
        # The beam takes its first word back: it was shown, but it is not the last.
        (
            (0.1, 0.1, 0.1, 0.1),
            ("1", "2", "23", "2"),
            dict(first_token=1.1, first_token_audio=1, last_token_audio=3.5, final=0.1),
        ),
        (
            (0.1, 0.1, 0.1, 0.1),
            ("", "", "", ""),
            dict(first_token=None, first_token_audio=None, last_token_audio=None),
        ),
    ],
)
def test_latency_is_that_of_a_feed_at_the_speed_of_speech(
    monkeypatch, seconds, words, expected
):
    from espnet_lmkd.asr import streaming

    stream = FakeStream(seconds, words)
    monkeypatch.setattr(streaming.time, "perf_counter", lambda: stream.now)
    hypothesis, latency = streaming.feed(stream, np.zeros(35), size=10, sample_rate=10)
    assert hypothesis.token_ids == [int(word) for word in words[-1]]
    assert latency.audio == 3.5 and latency.compute == pytest.approx(sum(seconds))
    found = {name: getattr(latency, name) for name in expected}
    assert found == pytest.approx(expected)


def test_a_language_model_takes_part_in_a_stream(world):
    from espnet_lmkd.asr.decoding import Recogniser
    from espnet_lmkd.asr.inputs import read_input
    from espnet_lmkd.asr.streaming import StreamingOptions, StreamingRecogniser

    tokens = yaml.safe_load(files(world)[0].read_text())["token_list"]
    lm = make_lm(world, tokens)
    options = StreamingOptions(beam_size=2, lm_weight=0.6)
    lm_files = (lm / "config.yaml", lm / "valid.loss.ave.pth")
    stream = StreamingRecogniser(*files(world), options, *lm_files)
    whole = Recogniser(*files(world), options, *lm_files)
    speech = read_input(world / "s1-a.wav", 16_000)
    assert stream(speech)[:3] == whole(speech)[:3] != recogniser(world)(speech)[:3]
    with pytest.raises(InputError, match="penalty: 0.5: it rewards no more"):
        options = dataclasses.replace(options, penalty=0.5)
        StreamingRecogniser(*files(world), options, *lm_files)


def test_command_writes_hypotheses_and_latency(world, offline, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        asr_inference_streaming.main(arguments(world, tmp_path))
    assert "['s2-short', 's2-tiny']" in caplog.text  # too short for the encoder
    out = tmp_path / "test"
    token_ids = dict(
        (line.split()[0], line.split()[1:]) for line in (out / "token_int").open()
    )
    assert list(token_ids) == sorted(LENGTHS)
    for name in ("s1-a", "s1-b", "s2-c"):
        assert token_ids[name] == [str(token) for token in offline[name, 1][3]]
    assert all((out / name).is_file() for name in ("text", "token", "score"))

    latency = json.loads((out / "latency.json").read_text())
    utterances = latency["utterances"]
    assert list(utterances) == ["s1-a", "s1-b", "s2-c"]
    assert latency["too_short"] == 2 and latency["without_tokens"] == 0
    audio = sum(LENGTHS[name] for name in utterances) / 16_000
    assert sum(one["audio"] for one in utterances.values()) == pytest.approx(audio)
    compute = sum(one["compute"] for one in utterances.values())
    assert latency["rtf"] == pytest.approx(compute / audio)
    for name in ("first_token", "final", "last_token_audio"):
        values = sorted(one[name] for one in utterances.values())
        p90 = values[1] + 0.8 * (values[2] - values[1])  # at 0.9 * (3 - 1) = 1.8
        expected = dict(mean=sum(values) / 3, median=values[1], p90=p90)
        assert latency[name] == pytest.approx(expected)
    for one in utterances.values():
        assert 0 < one["first_token_audio"] < one["first_token"] and one["final"] > 0

    # One process, another set: its latencies are its own.
    dev = tmp_path / "dev"
    dev.mkdir()
    (dev / "wav.scp").write_text(f"s2-c {world / 's2-c.wav'}\n")
    sets = [str(world / "dump" / "test"), str(dev)]
    command = arguments(world, tmp_path / "both", "--data_dirs", *sets)
    asr_inference_streaming.main(command)
    latency = json.loads((tmp_path / "both" / "dev" / "latency.json").read_text())
    assert list(latency["utterances"]) == ["s2-c"]
    assert latency["utterances"]["s2-c"]["audio"] == LENGTHS["s2-c"] / 16_000

    # Again: nothing is decoded. Another piece size or a lost report: everything is.
    before = (out / "latency.json").read_text()
    asr_inference_streaming.main(arguments(world, tmp_path))
    assert (out / "latency.json").read_text() == before
    asr_inference_streaming.main(arguments(world, tmp_path, "--chunk_seconds", "0.1"))
    chunk = json.loads((out / "latency.json").read_text())["chunk_seconds"]
    assert chunk == 0.1
    (out / "latency.json").unlink()
    asr_inference_streaming.main(arguments(world, tmp_path, "--chunk_seconds", "0.1"))
    assert (out / "latency.json").is_file()


def test_what_is_too_short_for_a_stream_is_so_offline(world, tmp_path):
    """7 features of 8 ms, the first at 0: ESPnet's own encoder fails on fewer."""
    from espnet_lmkd.asr.compat import TooShortUttError
    from espnet_lmkd.asr.decode_set import decode_set
    from espnet_lmkd.asr.decoding import Recogniser
    from espnet_lmkd.asr.inputs import read_input
    from espnet_lmkd.asr.search import SearchOptions

    whole = Recogniser(*files(world), SearchOptions("transducer", beam_size=1))
    speech = read_input(world / "s1-b.wav", 16_000)
    for listen in (whole, recogniser(world)):
        assert listen(speech[: 6 * 128]) is not None
        with pytest.raises(TooShortUttError, match="too short for the encoder"):
            listen(speech[: 6 * 128 - 1])
    decode_set(whole, world / "dump" / "test", tmp_path)
    texts = (tmp_path / "text").read_text().splitlines()
    assert len(texts) == len(LENGTHS) and texts[-2:] == ["s2-short ", "s2-tiny "]


def test_an_utterance_without_tokens_counts_for_the_end_only():
    from espnet_lmkd.asr.streaming import Latency, summary

    spoken = Latency(2.0, 0.2, 1.0, 0.9, 1.5, 0.1)
    silent = Latency(3.0, 0.3, None, None, None, 0.3)
    found = summary([spoken, silent])
    assert found["first_token"] == dict(mean=1.0, median=1.0, p90=1.0)
    assert found["final"]["mean"] == pytest.approx(0.2)
    assert found["without_tokens"] == 1 and found["rtf"] == pytest.approx(0.1)
    assert summary([]) == dict(rtf=0.0, without_tokens=0)
    assert "first_token" not in summary([silent])


def test_what_cannot_stream_is_refused(world, tmp_path):
    from espnet_lmkd.asr.streaming import StreamingOptions, stream_set

    with pytest.raises(InputError, match="needs decoder: transducer"):
        recogniser(world, "asr_ctc")
    with pytest.raises(InputError, match="search: ctc_greedy cannot stream"):
        recogniser(world, search="ctc_greedy")
    with pytest.raises(InputError, match="more than 0"):
        recogniser(world, chunk_seconds=0.0)
    with pytest.raises(InputError, match="one hypothesis"):
        recogniser(world, beam_size=3, nbest=2)
    with pytest.raises(InputError, match="search_type: default"):
        recogniser(world, beam_size=2, transducer_conf=dict(search_type="alsd"))
    with pytest.raises(InputError, match="UtteranceMVN needs the whole utterance"):
        make_streaming_student(
            world, "asr_mvn", normalize="utterance_mvn", normalize_conf={}
        )
        recogniser(world, "asr_mvn")
    with pytest.raises(InputError, match="no such file"):
        recogniser(world, "asr_nothing")
    (tmp_path / "feats.scp").write_text("a a.npy\n")
    with pytest.raises(InputError, match="dumped features cannot stream"):
        stream_set(recogniser(world), tmp_path, tmp_path / "out")
    assert dataclasses.replace(StreamingOptions(), beam_size=4).search == "transducer"


def test_the_end_may_be_known_late(world, offline):
    ours = recogniser(world)
    stream, speech = ours.stream(), torch.from_numpy(offline["s1-a", 1][0])
    stream.accept(speech.double())
    assert stream.accept([], is_final=True).token_ids == offline["s1-a", 1][3]
