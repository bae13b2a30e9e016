"""Decode test sets with a trained recogniser."""

import dataclasses
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import List, Optional

import torch
from tqdm import tqdm

from espnet_lmkd.asr.decoding import Hypothesis, Recogniser
from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.data.directory import write_lines, write_table

logger = logging.getLogger(__name__)


def decode_set(
    recogniser: Recogniser, data_dir, output_dir, num_utts: Optional[int] = None
) -> None:
    """Decode a data directory into `text`, `token`, `token_int`, `score`, `rtf.json`.

    `nbest` has all hypotheses of each utterance, if more than one was asked for, and
    `limits` names the utterances of `speech_prompt` that did not end by themselves.
    A set decoded with the same files and options before is left as it is. An utterance
    too short for the encoder gets an empty hypothesis and is named in a warning.

    Args:
        recogniser: model and search.
        data_dir: with `wav.scp`, or with `feats.scp` of dumped features.
        output_dir: `<experiment>/<decode tag>/<test set>`.
        num_utts: decode only so many, evenly spread.
    """
    output_dir = Path(output_dir)
    inputs = read_inputs(data_dir, num_utts)
    listed = json.dumps([[u, p, version(p)] for u, p in inputs.files.items()])
    done = {
        "options": dataclasses.asdict(recogniser.options),
        "files": {str(p): version(p) for p in recogniser.files},
        "inputs": hashlib.sha256(listed.encode()).hexdigest(),
    }
    report = output_dir / "rtf.json"
    if report.is_file() and json.loads(report.read_text()).get("decoded") == done:
        logger.warning(f"{output_dir}: already decoded")
        return
    lists, audio, compute = {}, 0.0, 0.0
    progress = tqdm(total=len(inputs.files), desc=str(output_dir), unit="utt")
    for batch in recogniser.batches(inputs):
        speeches = [recogniser.hearing.read(u, inputs.files[u]) for u in batch]
        seconds = [
            inputs.seconds.get(utterance, len(speech) / recogniser.sample_rate)
            for utterance, speech in zip(batch, speeches)
        ]
        start = time.perf_counter()
        found = recogniser.recognise(speeches, seconds)
        compute += time.perf_counter() - start
        audio += sum(seconds)
        lists.update(zip(batch, found))
        progress.update(len(batch))
    progress.close()
    nothing = [Hypothesis("", [], [], 0.0)]
    hypotheses = {utt: (hyps or nothing)[0] for utt, hyps in lists.items()}
    if too_short := [utt for utt, hyps in lists.items() if not hyps]:
        logger.warning(
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
    if recogniser.options.nbest > 1:
        rows = {u: [[h.text, h.tokens, h.score] for h in n] for u, n in lists.items()}
        columns["nbest"] = {utt: json.dumps(row) for utt, row in rows.items()}
    if recogniser.options.search == "speech_prompt":
        limits = {utt: hyp.limit for utt, hyp in hypotheses.items() if hyp.limit}
        columns["limits"] = limits
        if limits:
            logger.warning(
                f"{output_dir / 'limits'}: {len(limits)} hypotheses ended by length or"
                " repetition, or speech had more vectors than the LM has positions"
            )
    (output_dir / "nbest").unlink(missing_ok=True)
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
