"""Write a corpus of sentences from a grammar, spoken by espeak-ng with noise."""

import argparse
import itertools
import multiprocessing
import os
import random
from pathlib import Path

import numpy as np
from espeak import Espeak
from grammar import distinct_sentences
from noise import add_noise, babble, pink, white
from tqdm import tqdm

from espnet_lmkd.data.audio import write_flac
from espnet_lmkd.data.corpus import write_lm_text, write_sets
from espnet_lmkd.errors import InputError, exits_cleanly

FS = 16000
ACCENTS = ("en-us", "en-us-nyc", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = "f1 f4 Annie linda belinda shelby steph m1 m2 m3 m4 m5 m6 m7 m8".split()
# training hears every accent and every variant; dev and test combine them anew
VOICES = {"train": [], "dev": [], "test": []}
for i, j in itertools.product(range(len(ACCENTS)), range(len(VARIANTS))):
    part = {0: "dev", 3: "test", 6: "test"}.get((i + j) % 8, "train")
    VOICES[part].append(f"{ACCENTS[i]}+{VARIANTS[j]}")
BATCH = 150  # utterances spoken by one process; the audio depends on it


def speak_utterance(espeak, job, babblers, seed, snr):
    """Speak one sentence with random speed, pitch, loudness, pauses and noise.

    Args:
        espeak: Espeak.
        job: (number, sentence, voice, flac path).
        babblers: Sentences for the voices in the background.
        seed: With the number, decides everything random.
        snr: (lowest, highest) ratio of speech to noise in dB.

    Returns:
        int: Samples written.
    """
    number, sentence, voice, flac = job
    rng = np.random.default_rng([seed, number])

    def say(text, voice):
        return espeak.say(text, voice, rng.integers(140, 180), rng.integers(30, 70), FS)

    pauses = rng.integers(FS // 20, FS // 4, 2)
    speech = np.pad(say(sentence, voice), pauses)
    kind = rng.integers(3)
    if kind == 2:
        others = [
            say(rng.choice(babblers), rng.choice(VOICES["train"])) for _ in range(4)
        ]
        noise = babble(others, len(speech))
    else:
        noise = (white, pink)[kind](rng, len(speech))
    samples = add_noise(speech, noise, rng.uniform(*snr))
    write_flac(flac, samples * rng.uniform(0.3, 0.9) / np.abs(samples).max(), FS)
    return len(samples)


def speak_batch(arguments):
    """Speak some utterances in a new process, so that the same come out every time."""
    jobs, babblers, seed, snr = arguments
    espeak = Espeak()
    return [speak_utterance(espeak, job, babblers, seed, snr) for job in jobs]


def speak_all(jobs, babblers, seed, snr, nj):
    """Speak all utterances and return their numbers of samples."""
    batches = [
        (jobs[start : start + BATCH], babblers, seed, snr)
        for start in range(0, len(jobs), BATCH)
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(nj, len(batches)), maxtasksperchild=1) as pool:
        results = pool.imap(speak_batch, batches, chunksize=1)
        return sum(tqdm(results, desc="speak", total=len(batches)), [])


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--num_train", type=int, default=3000, help="utterances")
    parser.add_argument("--num_dev", type=int, default=150, help="utterances")
    parser.add_argument("--num_test", type=int, default=300, help="utterances")
    parser.add_argument(
        "--num_lm", type=int, default=30000, help="sentences of text that no one speaks"
    )
    parser.add_argument("--min_snr", type=float, default=15.0, help="most noise, in dB")
    parser.add_argument("--max_snr", type=float, default=30.0, help="least, in dB")
    parser.add_argument(
        "--seed", type=int, default=0, help="decides all that is random"
    )
    parser.add_argument("--nj", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--out", default="data", help="folder to write")
    return parser


@exits_cleanly
def main(cmd=None):
    """Write train, dev, test and local/lm_train.txt: no sentence is in two of them."""
    args = get_parser().parse_args(cmd)
    sizes = {"train": args.num_train, "dev": args.num_dev, "test": args.num_test}
    if min(sizes.values()) < 1 or args.num_lm < 1:
        raise InputError(
            "--num_train, --num_dev, --num_test, --num_lm: at least 1 each"
        )
    Espeak()  # fails here rather than in a worker
    rng = random.Random(args.seed)
    sentences = distinct_sentences(rng, sum(sizes.values()) + args.num_lm)
    drawn = iter(sentences)
    tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    sets, jobs = {}, []
    for name, size in sizes.items():
        voices = rng.sample(VOICES[name], len(VOICES[name]))
        audio = Path(args.out) / "audio" / name
        audio.mkdir(parents=True, exist_ok=True)
        sets[name] = []
        for index in range(size):
            voice = voices[index % len(voices)]
            speaker = voice.replace("+", "-")
            utterance = f"{speaker}-{name}-{index:05d}"
            flac = str(audio / f"{utterance}.flac")
            sentence = next(drawn)
            jobs.append((len(jobs), sentence, voice, flac))
            tables["wav.scp"][utterance] = flac
            tables["text"][utterance] = sentence.upper()
            tables["utt2spk"][utterance] = speaker
            sets[name].append(utterance)
    text_only = [sentence.upper() for sentence in drawn]
    snr = (args.min_snr, args.max_snr)
    samples = iter(speak_all(jobs, text_only[:200], args.seed, snr, args.nj))
    write_sets(args.out, tables, sets)
    for name, utterances in sets.items():
        hours = sum(itertools.islice(samples, len(utterances))) / FS / 3600
        print(f"{args.out}/{name}: {hours:.2f} h")
    spoken = {
        name: [tables["text"][utterance] for utterance in utterances]
        for name, utterances in sets.items()
    }
    write_lm_text(
        Path(args.out) / "local" / "lm_train.txt",
        spoken["train"] + text_only,
        spoken["dev"] + spoken["test"],
    )


if __name__ == "__main__":
    main()
