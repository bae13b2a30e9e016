"""Choose the weights of a beam search on the development set."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Dict, Iterable, List, Tuple

import yaml
from tqdm import tqdm

from espnet_lmkd.asr.compat import TooShortUttError
from espnet_lmkd.asr.decode_set import version
from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.asr.token_reward import set_transducer_weights
from espnet_lmkd.data.directory import read_table, write_lines
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import count_errors
from espnet_lmkd.scoring.tables import markdown


def candidates(
    options: SearchOptions, grid: Dict[str, Iterable[float]]
) -> List[SearchOptions]:
    """Return the options with every combination of the values of a grid.

    Example:
        >>> [o.penalty for o in candidates(SearchOptions(), {"penalty": [0.1, 0.2]})]
        [0.1, 0.2]
    """
    combinations = itertools.product(*grid.values())
    return [
        dataclasses.replace(options, **dict(zip(grid, values)))
        for values in combinations
    ]


def set_weights(recogniser: Recogniser, options: SearchOptions) -> None:
    """Change `lm_weight` and `penalty` of a loaded beam search.

    ESPnet builds only the scorers whose weight is not 0, so load with other weights.
    """
    if options.search == "transducer":
        search = recogniser.speech2text.beam_search_transducer
        if search.use_lm:
            set_transducer_weights(search, options)
        return
    weights = {"lm": options.lm_weight, "length_bonus": options.penalty}
    recogniser.speech2text.beam_search.weights.update(weights)


def tune(
    model_files: Dict[str, str],
    options: SearchOptions,
    grid: Dict[str, Iterable[float]],
    data_dir,
    num_utts=None,
) -> List[Tuple[SearchOptions, float]]:
    """Decode the development set with each combination; models load once per beam size.

    Args:
        model_files: arguments of `Recogniser` but the options.
        options: what the grid does not name; `search: beam` or `transducer`.
        grid: values of `beam_size`, `lm_weight`, `penalty` (of a transducer without a
            language model 0).
        data_dir: with `wav.scp` and `text`.
        num_utts: only so many utterances, evenly spread.

    Returns:
        Options and WER in percent, best first; of equals the smaller values.

    Raises:
        InputError: the search has nothing to tune.
    """
    if options.search in ("ctc_greedy", "cif_parallel", "speech_prompt"):
        raise InputError(f"{options.search} has no weights to tune; give search: beam")
    references = read_table(Path(data_dir) / "text")
    files = read_inputs(data_dir, num_utts).files
    results = []
    tried = sorted(candidates(options, grid), key=dataclasses.astuple)
    if options.search == "transducer":
        tried = [o for o in tried if o.lm_weight != 0 or o.penalty == 0]
        if not tried:
            raise InputError(
                "a transducer without lm_weight has no penalty; give --penalty 0, too"
            )
    progress = tqdm(total=len(tried) * len(files), desc="tuning", unit="utt")
    for beam_size, group in itertools.groupby(tried, lambda o: o.beam_size):
        group = list(group)
        every_scorer = dataclasses.replace(
            group[0],
            penalty=float(options.search == "beam"),
            lm_weight=float(any(o.lm_weight != 0 for o in group)),
        )
        recogniser = Recogniser(options=every_scorer, **model_files)
        errors, words = [0] * len(group), 0
        for utterance, path in files.items():
            reference = references[utterance].split()
            words += len(reference)
            speech = recogniser.hearing.read(utterance, path)
            for index, candidate in enumerate(group):
                set_weights(recogniser, candidate)
                try:
                    hypothesis = recogniser(speech).text.split()
                except TooShortUttError:
                    hypothesis = []
                errors[index] += count_errors(reference, hypothesis).errors
                progress.update()
        results += [(o, 100 * n / words) for o, n in zip(group, errors)]
    progress.close()
    return sorted(results, key=lambda result: result[1])


def tune_once(output_dir, model_files, options, grid, data_dir, num_utts=None) -> str:
    """Write the best options as `decode_tuned.yaml` and return the table of all.

    Nothing is decoded again where the same files and grid were tuned before.

    Args:
        output_dir: gets `decode_tuned.{yaml,md,json}`.
        model_files, options, grid, data_dir, num_utts: as for `tune`.
    """
    output_dir = Path(output_dir)
    done = {
        "options": dataclasses.asdict(options),
        "grid": grid,
        "data": [str(data_dir), version(Path(data_dir) / "text"), num_utts],
        "files": {
            str(path): version(path)
            for name, path in model_files.items()
            if name != "device" and path is not None and Path(path).is_file()
        },
    }
    record, table = output_dir / "decode_tuned.json", output_dir / "decode_tuned.md"
    if record.is_file() and json.loads(record.read_text()) == done:
        return table.read_text().rstrip()
    results = tune(model_files, options, grid, data_dir, num_utts)
    header = ["beam_size", "lm_weight", "penalty", "WER %"]
    rows = [[o.beam_size, o.lm_weight, o.penalty, f"{wer:.2f}"] for o, wer in results]
    write_lines(table, [markdown(header, rows)])
    best, wer = results[0]
    comment = f"# the best of {len(results)} on the development set, WER {wer:.2f} %"
    content = yaml.safe_dump(dataclasses.asdict(best), sort_keys=False).rstrip()
    write_lines(output_dir / "decode_tuned.yaml", [comment, content])
    write_lines(record, [json.dumps(done)])
    return table.read_text().rstrip()
