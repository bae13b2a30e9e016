"""Batched searches against loops that know neither batches nor caches."""

import pytest
import torch
from test_decoder import EOS, LENGTHS, SOS, build, logits_alone, speech
from tiny_llm import KINDS

from espnet_lmkd.asr.speech_prompt.generation import Limits, generate

SECONDS = [0.9, 0.2, 0.6]
LIMITS = Limits(tokens_per_second=4, extra_tokens=3, repetitions=3, longest_ngram=2)


def plain_search(decoder, frames, beam_size, limits, seconds):
    """Beam search with a forward pass of the stock model for each hypothesis."""
    running, ended = [([], 0.0)], []
    while True:
        choices = []
        for tokens, score in running:
            logits = logits_alone(decoder, frames, torch.tensor([SOS, *tokens]))[-1]
            for token, value in enumerate(logits.log_softmax(0).tolist()):
                choices.append(([*tokens, token], score + value))
        choices.sort(key=lambda choice: -choice[1])
        running = []
        for tokens, score in choices[:beam_size]:
            loop = 0
            for n in (2, 1):
                tail = tokens[-3 * n :]
                if len(tail) == 3 * n and tail == tail[:n] * 3:
                    loop = 2 * n
            if tokens[-1] == EOS:
                ended.append((tokens[:-1], score, None))
            elif loop:
                ended.append((tokens[:-loop], score, "repetition"))
            elif len(tokens) == limits.max_tokens(seconds):
                ended.append((tokens, score, "length"))
            else:
                running.append((tokens, score))
        best = max(ended, key=lambda hyp: hyp[1], default=None)
        if best and (not running or best[1] >= running[0][1]):
            return best


def decode(decoder, frames=None, lengths=LENGTHS, seconds=SECONDS, **options):
    frames = speech() if frames is None else frames
    conf = {"limits": LIMITS, **options}
    frames = [row[:n] for row, n in zip(frames, lengths)]
    return generate(decoder, frames, seconds, SOS, EOS, **conf)


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_search_is_the_plain_one(kind, beam_size, tmp_path):
    decoder = build(kind, tmp_path, bridge_conf={"num_convs": 0})
    found = decode(decoder, beam_size=beam_size)
    for hyp, frames, n, seconds in zip(found, speech(), LENGTHS, SECONDS):
        with torch.no_grad():
            expected = plain_search(decoder, frames[:n], beam_size, LIMITS, seconds)
        assert (hyp.tokens, hyp.limit) == (expected[0], expected[2])
        assert hyp.score == pytest.approx(expected[1], rel=1e-4)
    assert len({tuple(hyp.tokens) for hyp in found}) > 1


@pytest.mark.parametrize("beam_size", [1, 4])
def test_alone_and_in_a_batch(beam_size, tmp_path):
    decoder = build("llama", tmp_path, bridge_conf={"num_convs": 1})
    generator = torch.Generator().manual_seed(5)
    frames = torch.randn(12, 30, 6, generator=generator)
    lengths = torch.randint(1, 31, (12,), generator=generator)
    seconds = (lengths / 12.5).tolist()
    together = decode(decoder, frames, lengths, seconds, beam_size=beam_size)
    for index, hyp in enumerate(together):
        one = slice(index, index + 1)
        cut = frames[one, : lengths[index]]
        (alone,) = decode(decoder, cut, lengths[one], seconds[one], beam_size=beam_size)
        assert alone.tokens == hyp.tokens and alone.limit == hyp.limit
        assert alone.score == pytest.approx(hyp.score, abs=1e-4)
    assert len({tuple(hyp.tokens) for hyp in together}) > 3


def prefer(decoder, *tokens):
    """Make the model say these tokens for ever, whatever it has read."""
    following = dict(zip((SOS, *tokens), (*tokens, tokens[0])))

    def log_probs(ids):
        scores = torch.full((len(ids), 18), -9.0)
        for row, token in zip(scores, ids.tolist()):
            row[following.get(token, 0)] = -0.1
        return scores

    begin, step = decoder.begin, decoder.step
    decoder.begin = lambda x, ids: (log_probs(ids[:, -1]), begin(x, ids)[1])
    decoder.step = lambda ids, context: (log_probs(ids), step(ids, context)[1])


@pytest.mark.parametrize("loop", [[7], [7, 8], [7, 8, 9, 10]])
def test_loops_are_cut_to_one_turn(loop, tmp_path):
    decoder = build("llama", tmp_path)
    prefer(decoder, *loop)
    limits = Limits(tokens_per_second=100, repetitions=4, longest_ngram=4)
    for hyp in decode(decoder, limits=limits):
        assert (hyp.tokens, hyp.limit) == (loop, "repetition")


def test_length_ends_an_utterance_and_not_its_neighbours(tmp_path):
    decoder = build("llama", tmp_path)
    prefer(decoder, *range(5, 17))
    limits = Limits(tokens_per_second=2.5, extra_tokens=1)
    found = decode(decoder, seconds=[4.0, 0.0, 2.1], limits=limits)
    assert [len(hyp.tokens) for hyp in found] == [11, 1, 7]
    assert {hyp.limit for hyp in found} == {"length"}


def test_length_ends_where_the_model_does(tmp_path):
    decoder = build("gpt2", tmp_path, bridge_conf={"num_convs": 0})  # 64 positions
    prefer(decoder, *range(5, 17))
    found = decode(decoder, seconds=[100.0, 1.0, 100.0])
    # 64 less bos, sos and 9 or 6 frames; the last token need not be read again
    assert [len(hyp.tokens) for hyp in found] == [54, 7, 57]


@pytest.mark.parametrize("kind", ["silence", "noise", "loud", "one frame", "long"])
def test_strange_speech_comes_to_an_end(kind, tmp_path):
    decoder = build("qwen2", tmp_path)
    frames = {
        "silence": torch.zeros(1, 40, 6),
        "noise": torch.randn(1, 40, 6, generator=torch.Generator().manual_seed(1)),
        "loud": torch.full((1, 40, 6), 1e4),
        "one frame": torch.ones(1, 1, 6),
        "long": torch.sin(torch.arange(3000.0 * 6).view(1, 3000, 6)),
    }[kind]
    seconds = frames.shape[1] / 50
    (hyp,) = decode(
        decoder, frames, torch.tensor([frames.shape[1]]), [seconds], limits=Limits()
    )
    assert len(hyp.tokens) <= Limits().max_tokens(seconds)
    assert hyp.limit in (None, "length", "repetition") and hyp.score == hyp.score
