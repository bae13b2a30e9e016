"""From audio that a recogniser has decoded to a data directory to train on."""

import json
from math import exp
from pathlib import Path

from espnet_lmkd.data.audio import open_audio
from espnet_lmkd.data.directory import (
    PREPARED,
    read_directory,
    read_table,
    write_directory,
    write_lines,
)
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import count_errors, read_hypotheses, splitter

REPORT = "pseudo_labels.json"
FATES = ("kept", "empty", "with_symbols", "below_min_confidence")
# Tokens that no text is cut into; also those of Hugging Face tokenizers.
SYMBOLS = {"<blank>", "<unk>", "<sos/eos>", "[PAD]", "[UNK]", "[CLS]", "[SEP]"}


def confidence(score, num_tokens):
    """Return how sure a search was of a token, on average.

    exp(score / L)

    What the score is decides what this means: a transducer's beam search sums the
    log-probabilities of labels and blanks on the path (and those of a language model,
    by its weight), its greedy search (beam size 1) those of labels alone.

    Args:
        score: The search's score of the hypothesis, a log-probability.
        num_tokens: L >= 1, its tokens.

    Example:
        >>> round(confidence(-0.3, 3), 3)
        0.905
    """
    return exp(score / num_tokens)


def write_pseudo_labels(data_dir, decode_dir, min_confidence, out, reference=None):
    """Write a data directory whose text is what a recogniser heard.

    Args:
        data_dir: What was decoded, such as dump/raw/unlabelled; its own text is not
            read.
        decode_dir: Where the decoding lies: text, score and token of each utterance.
        min_confidence: Hypotheses below this `confidence` are left out, and so are
            empty ones and those with one of SYMBOLS.
        out: Directory to write: the tables of data_dir for the utterances that are
            kept, and the counts in pseudo_labels.json.
        reference: Table of transcripts to count the hypotheses' errors, which changes
            nothing else.

    Returns:
        dict: The counts: utterances, kept, empty, with_symbols, below_min_confidence,
        hours (kept), and with a reference the WER in percent of the kept and of all.

    Raises:
        InputError: An utterance that was not decoded, or nothing to keep.
    """
    tables = read_directory(data_dir, [name for name in PREPARED if name != "text"])
    decoded = {
        name: read_hypotheses(Path(decode_dir, name))
        for name in ("text", "score", "token")
    }
    lacking = sorted(tables["wav.scp"].keys() - decoded["text"].keys())
    if lacking:
        raise InputError(
            f"{decode_dir}: utterance '{lacking[0]}' of {data_dir} is not decoded"
            f" ({len(lacking)} such); decode all of it"
        )
    texts, fates = {}, {}
    for utterance in tables["wav.scp"]:
        text, score, tokens = (column[utterance] for column in decoded.values())
        texts[utterance] = text = " ".join(text.split())
        fates[utterance] = _fate(text, score, tokens.split(), min_confidence)
    kept = {u: text for u, text in texts.items() if fates[u] == "kept"}
    counts = {fate: list(fates.values()).count(fate) for fate in FATES}
    if not kept:
        raise InputError(
            f"{decode_dir}: of {len(fates)} hypotheses none is kept: {counts}; lower"
            " --min_confidence or take a better teacher"
        )
    report = {
        "decode_dir": str(decode_dir),
        "min_confidence": min_confidence,
        "utterances": len(fates),
        **counts,
        "hours": round(sum(_seconds(tables, kept)) / 3600, 3),
    }
    if reference is not None:
        references = read_table(reference)
        report["wer_of_kept"] = _word_error_rate(references, kept)
        report["wer_of_all"] = _word_error_rate(references, texts)
    write_directory(out, {**tables, "text": kept}, kept)
    kind = Path(data_dir, "feats_type")
    if kind.is_file():
        write_lines(Path(out) / "feats_type", [kind.read_text("utf-8").strip()])
    write_lines(Path(out) / REPORT, [json.dumps(report, indent=1)])
    return report


def _fate(text, score, tokens, min_confidence):
    """Return what becomes of a hypothesis, one of FATES."""
    if not text:  # also of a token that is white space
        return "empty"
    if SYMBOLS.intersection(tokens):
        return "with_symbols"
    sure = confidence(float(score), len(tokens)) >= min_confidence
    return "kept" if sure else "below_min_confidence"


def _seconds(tables, utterances):
    """Return the length of each utterance."""
    if "utt2dur" in tables:
        return [float(tables["utt2dur"][utterance]) for utterance in utterances]
    seconds = []
    for utterance in utterances:
        with open_audio(utterance, tables["wav.scp"][utterance]) as audio:
            seconds.append(audio.frames / audio.samplerate)
    return seconds


def _word_error_rate(references, hypotheses):
    """Return errors per 100 words of the references of these utterances."""
    words = splitter("wer")
    counts = []
    for utterance, hypothesis in hypotheses.items():
        if utterance not in references:
            raise InputError(f"--reference: no transcript of utterance '{utterance}'")
        pair = references[utterance].casefold(), hypothesis.casefold()
        counts.append(count_errors(*map(words, pair)))
    errors, length = (sum(x) for x in zip(*((c.errors, c.length) for c in counts)))
    return round(100 * errors / length, 2)
