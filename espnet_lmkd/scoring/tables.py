"""Tables of results: sclite's for ESPnet's scripts, Markdown for people."""

from pathlib import Path
from typing import Iterable, List, Sequence

from espnet_lmkd.data.directory import read_table, write_lines
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import (
    Counts,
    ScoredUtterance,
    read_hypotheses,
    score,
    splitter,
)

HEADER = ("utterance", "speaker", *Counts._fields)
WIDTHS = (5, 6, 6, 6, 6, 6, 6, 6)


def markdown(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Return a pipe table.

    Example:
        >>> print(markdown(["set", "WER"], [["dev", 7.5]]))
        |set|WER|
        |---|---|
        |dev|7.5|
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("|" + "|".join(map(str, line)) + "|" for line in lines)


def summary(scored: Sequence[ScoredUtterance]) -> List[str]:
    """Return sclite's columns: sentences, units, then percent of the units.

    Corr, Sub, Del, Ins and Err are shares of the reference units; S.Err is the share of
    sentences with an error.
    """
    total = Counts(*map(sum, zip(*(utt.counts for utt in scored))))
    wrong = sum(utt.counts.errors > 0 for utt in scored)
    shares = [100 * count / max(total.length, 1) for count in (*total, total.errors)]
    shares.append(100 * wrong / len(scored))
    return [str(len(scored)), str(total.length), *(f"{share:.1f}" for share in shares)]


def sclite_table(scored: Sequence[ScoredUtterance], title: str = "hyp.trn") -> str:
    """Return a table as sclite prints it: a row per speaker and Sum/Avg."""
    speakers = sorted({utt.speaker for utt in scored})
    rows = [(s, summary([u for u in scored if u.speaker == s])) for s in speakers]
    rows.append(("Sum/Avg", summary(scored)))
    names = ["# Snt", "# Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err"]
    width = max(8, *(len(name) for name, _ in rows))

    def line(name, cells):
        cells = [cell.rjust(size) for cell, size in zip(cells, WIDTHS)]
        return f"| {name:{width}} | {' '.join(cells[:2])} | {' '.join(cells[2:])} |"

    head = line("SPKR", names)
    inner = len(head) - 2
    rule, double = f"|{'-' * inner}|", f"|{'=' * inner}|"
    body = [line(*row) for row in rows]
    return "\n".join(
        [f",{'-' * inner}.", f"|{title:^{inner}}|", rule, head, rule]
        + [*body[:-1], double, body[-1], f"`{'-' * inner}'"]
    )


def write_score(directory, scored: Sequence[ScoredUtterance]) -> None:
    """Write ESPnet's `{ref,hyp}.trn` and `result.txt`, and counts per utterance."""
    directory = Path(directory)
    for name in ("ref", "hyp"):
        units = [u.reference if name == "ref" else u.hypothesis for u in scored]
        lines = [
            f"{' '.join(unit)}\t({utt.speaker}-{utt.utterance})"
            for unit, utt in zip(units, scored)
        ]
        write_lines(directory / f"{name}.trn", lines)
    write_lines(directory / "result.txt", sclite_table(scored).split("\n"))
    lines = ["\t".join(map(str, (u.utterance, u.speaker, *u.counts))) for u in scored]
    write_lines(directory / "utterances.tsv", ["\t".join(HEADER), *lines])


def read_score(directory) -> List[ScoredUtterance]:
    """Read back what `write_score` counted; the units stay in the .trn files."""
    path = Path(directory) / "utterances.tsv"
    if not path.is_file():
        raise InputError(f"{path}: no such file; score this set first (stage 13)")
    scored = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        utterance, speaker, *counts = line.split("\t")
        counts = Counts(*map(int, counts))
        scored.append(ScoredUtterance(utterance, speaker, [], [], counts))
    return scored


def score_directory(data_dir, decode_dir, bpemodel=None) -> List[List[str]]:
    """Score one decoded test set into its `score_wer`, `score_cer` and `score_ter`.

    Args:
        data_dir: reference with `text` and `utt2spk`.
        decode_dir: `<experiment>/<decode tag>/<test set>` with `text`.
        bpemodel: SentencePiece model; without it there is no TER.

    Returns:
        A row per kind: the kind, then `summary`.
    """
    references = read_table(Path(data_dir) / "text")
    utt2spk = read_table(Path(data_dir) / "utt2spk")
    hypotheses = read_hypotheses(Path(decode_dir) / "text")
    rows = []
    for kind in ("wer", "cer", "ter") if bpemodel else ("wer", "cer"):
        try:
            scored = score(references, hypotheses, utt2spk, splitter(kind, bpemodel))
        except InputError as error:
            raise InputError(f"{decode_dir} against {data_dir}: {error}") from error
        write_score(Path(decode_dir) / f"score_{kind}", scored)
        rows.append([kind, *summary(scored)])
    return rows
