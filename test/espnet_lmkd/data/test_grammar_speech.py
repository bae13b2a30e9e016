"""The embedded corpus: its sentences, its noise, and its speech where espeak-ng is."""

import hashlib
import random
from collections import Counter

import numpy as np
import pytest
import soundfile
from recipes import EGS2, run_data_sh, validate_in

from espnet_lmkd.data.directory import read_table

TINY = "--num_train 6 --num_dev 2 --num_test 3 --num_lm 60 --nj 2".split()


@pytest.fixture
def grammar(monkeypatch):
    monkeypatch.syspath_prepend(EGS2 / "grammar_speech" / "asr_kd1" / "local")
    import grammar

    return grammar


@pytest.fixture
def noise(monkeypatch):
    monkeypatch.syspath_prepend(EGS2 / "grammar_speech" / "asr_kd1" / "local")
    import noise

    return noise


def test_sentences_are_distinct_and_the_same_for_a_seed(grammar):
    one = grammar.distinct_sentences(random.Random(7), 3000)
    assert len(set(one)) == 3000
    assert one[:50] == grammar.distinct_sentences(random.Random(7), 50)
    assert one[:50] != grammar.distinct_sentences(random.Random(8), 50)
    assert all(set(line) <= set("abcdefghijklmnopqrstuvwxyz' ") for line in one)
    assert 4 <= min(len(line.split()) for line in one)
    assert max(len(line.split()) for line in one) <= 20


def test_context_decides_between_words_that_sound_alike(grammar):
    words = Counter(
        " ".join(grammar.distinct_sentences(random.Random(0), 9000)).split()
    )
    assert len(words) > 500
    for same in (
        "their there they're",
        "to too two",
        "sea see",
        "write right",
        "flour flower",
        "knight night",
        "four for",
        "eight ate",
        "one won",
        "no know",
        "knew new",
        "hour our",
        "by buy",
        "week weak",
        "whole hole",
        "hear here",
        "would wood",
        "son sun",
    ):
        assert min(words[word] for word in same.split()) >= 5, same


def test_verbs_agree_with_their_subjects(grammar):
    rng = random.Random(1)
    seen = Counter()
    for line in grammar.distinct_sentences(rng, 9000):
        words = line.split()
        pairs = list(zip(words, words[1:]))
        for plural, singular in (("have", "has"), ("are", "is"), ("were", "was")):
            for pronoun in ("he", "she"):
                assert (pronoun, plural) not in pairs, line
                seen[singular] += (pronoun, singular) in pairs
            for pronoun in ("we", "they"):
                assert (pronoun, singular) not in pairs, line
                seen[plural] += (pronoun, plural) in pairs
        assert ("i", "is") not in pairs and ("i", "are") not in pairs, line
        for article, noun in pairs:
            if article == "an":
                assert noun[0] in "aeiou" or noun.startswith("hour"), line
    assert min(seen[form] for form in ("has", "have", "is", "are", "was", "were")) > 5


def test_all_inflected_forms_are_words_of_english_spelling(grammar):
    expected = {
        ("ride", "ed"): "rode ridden",
        ("bury", "ed"): "buried buried",
        ("knit", "ed"): "knitted knitted",
        ("pour", "ed"): "poured poured",
        ("seize", "ed"): "seized seized",
    }
    for (verb, _), forms in expected.items():
        assert grammar.verb_forms(verb) == tuple(forms.split())
    ing = {"dye": "dyeing", "tie": "tying", "ride": "riding", "win": "winning"}
    ing.update({"see": "seeing", "shoe": "shoeing", "sew": "sewing"})
    assert {verb: grammar.add_ending(verb, "ing") for verb in ing} == ing


@pytest.mark.parametrize("snr", [0, 5, 20])
def test_noise_has_the_wanted_power(noise, snr):
    rng = np.random.default_rng(0)
    speech = np.sin(np.arange(16000) / 9)
    voices = [rng.standard_normal(n) for n in (100, 16000, 40000)]
    kinds = noise.white(rng, 16000), noise.pink(rng, 16000), noise.babble(voices, 16000)
    for kind in kinds:
        added = noise.add_noise(speech, kind, snr) - speech
        ratio = np.sum(speech**2) / np.sum(added**2)
        assert abs(10 * np.log10(ratio) - snr) < 1e-3


def test_pink_noise_falls_by_3_db_an_octave(noise):
    rng = np.random.default_rng(0)
    power = np.abs(np.fft.rfft(noise.pink(rng, 1 << 16))) ** 2
    octaves = [power[1 << k : 2 << k].mean() for k in range(8, 14)]
    steps = 10 * np.log10(np.array(octaves[1:]) / octaves[:-1])
    np.testing.assert_allclose(steps, -3, atol=0.6)


def digests(data):
    files = sorted(path for path in data.rglob("*") if path.is_file())
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_corpus_is_disjoint_and_byte_identical_for_a_seed(tmp_path):
    pytest.importorskip("espeakng_loader", reason="pip install espeakng-loader")
    found = []
    for name in ("one", "two"):
        run = run_data_sh("grammar_speech", tmp_path / name, *TINY, "--seed", "3")
        assert run.returncode == 0, run.stderr
        found.append(digests(tmp_path / name / "data"))
    assert found[0] == found[1]

    data = tmp_path / "one" / "data"
    texts = {
        name: set(validate_in(tmp_path / "one", name)["text"].values())
        for name in ("train", "dev", "test")
    }
    assert [len(texts[name]) for name in texts] == [6, 2, 3]
    lm = set((data / "local" / "lm_train.txt").read_text("utf-8").splitlines())
    assert texts["train"] < lm and len(lm) == 66
    assert not texts["dev"] & texts["test"]
    assert not lm & (texts["dev"] | texts["test"])
    voices = [set(read_table(data / n / "utt2spk").values()) for n in texts]
    assert not voices[0] & voices[1] and not (voices[0] | voices[1]) & voices[2]
    for path in data.rglob("*.flac"):
        samples, fs = soundfile.read(path)
        assert fs == 16000 and 0.5 < len(samples) / fs < 15
        assert 0.25 < np.abs(samples).max() < 0.95


def test_without_espeak_one_sentence_says_what_to_install(tmp_path):
    (tmp_path / "blocked").mkdir()
    blocked = tmp_path / "blocked" / "espeakng_loader.py"
    blocked.write_text("raise ImportError('not installed')\n")
    run = run_data_sh(
        "grammar_speech", tmp_path / "r", *TINY, PYTHONPATH=blocked.parent
    )
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "run: pip install espeakng-loader" in run.stderr


def test_help_lists_the_sizes(tmp_path):
    run = run_data_sh("grammar_speech", tmp_path, "--help")
    assert run.returncode == 0 and "--num_train" in run.stdout
