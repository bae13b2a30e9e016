"""Choose among the hypotheses of decoded sets again, with a causal language model."""

import argparse
import json
import time
from pathlib import Path

from espnet_lmkd.alignment.spans import TEXT_CASES
from espnet_lmkd.data.directory import read_table, write_lines, write_table
from espnet_lmkd.errors import InputError, exits_cleanly
from espnet_lmkd.scoring.rescoring import choose, read_nbest, tune
from espnet_lmkd.scoring.tables import markdown


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "--decode_dirs",
        nargs="+",
        required=True,
        help="sets decoded with nbest above 1, e.g. exp/asr_a/decode_x/dev",
    )
    add("--lm", required=True, help="causal LM: folder or hub id")
    add("--revision", help="its branch, tag or commit on the hub")
    add("--dtype", choices=["float32", "bfloat16"], default="float32")
    add("--device", default="auto")
    add(
        "--text_case",
        choices=sorted(TEXT_CASES),
        default="as_is",
        help="what the LM is given to read",
    )
    add("--lm_weight", nargs="+", type=float, default=[0.3])
    add("--length_bonus", nargs="+", type=float, default=[0.0], help="for each token")
    add(
        "--tune_text",
        help="transcripts of the first of the --decode_dirs: the weights are those of"
        " the lowest WER there",
    )
    add("--output_dir", required=True, help="gets a folder for each set")
    return parser


def write(out, chosen, report):
    """Write hypotheses and report as `asr_inference` does."""
    columns = {
        "text": {utt: hyp.text for utt, hyp in chosen.items()},
        "token": {utt: " ".join(hyp.tokens) for utt, hyp in chosen.items()},
        "score": {utt: f"{hyp.score:.4f}" for utt, hyp in chosen.items()},
    }
    for name, table in columns.items():
        write_table(out / name, table)
    write_lines(out / "rtf.json", [json.dumps(report, indent=2)])


@exits_cleanly
def main(cmd=None):
    """Rescore.

    Example:
        % python3 -m espnet_lmkd.bin.rescore --lm HuggingFaceTB/SmolLM2-135M \\
            --text_case lower --tune_text dump/raw/dev/text --lm_weight 0 0.1 0.3 0.5 \\
            --decode_dirs exp/asr_rnnt/decode_nbest/{dev,unlabelled} \\
            --output_dir exp/asr_rnnt/decode_rescored
    """
    args = get_parser().parse_args(cmd)
    if not args.tune_text and len(args.lm_weight) * len(args.length_bonus) > 1:
        raise InputError(
            "several --lm_weight or --length_bonus want the --tune_text that decides"
        )
    outs = [Path(args.output_dir, Path(d).name).resolve() for d in args.decode_dirs]
    read_from = {Path(d).resolve() for d in args.decode_dirs}
    if len(set(outs)) < len(outs) or read_from.intersection(outs):
        raise InputError(
            f"--output_dir {args.output_dir}: each of the --decode_dirs wants a folder"
            " of its own there, by its last name, and not the one it is read from"
        )
    from espnet_lmkd.teachers.sentence_scores import SentenceScorer

    scorer = SentenceScorer.from_pretrained(
        args.lm, args.revision, args.dtype, args.device
    )
    read = TEXT_CASES[args.text_case]
    weights = args.lm_weight[0], args.length_bonus[0]
    for index, decode_dir in enumerate(map(Path, args.decode_dirs)):
        start = time.perf_counter()
        nbest = read_nbest(decode_dir, lambda texts: scorer(list(map(read, texts))))
        seconds = time.perf_counter() - start
        if index == 0 and args.tune_text:
            references = read_table(args.tune_text)
            results = tune(nbest, references, args.lm_weight, args.length_bonus)
            rows = [[w, bonus, f"{wer:.2f}"] for w, bonus, wer in results]
            print(markdown(["lm_weight", "length_bonus", "WER %"], rows))
            weights = results[0][:2]
        chosen, out = choose(nbest, *weights), Path(args.output_dir, decode_dir.name)
        report = json.loads((decode_dir / "rtf.json").read_text())
        report["seconds_compute"] = round(report["seconds_compute"] + seconds, 3)
        report["rtf"] = report["seconds_compute"] / max(report["seconds_audio"], 1e-9)
        report["parameters"] += sum(p.numel() for p in scorer.model.parameters())
        names = ("lm", "lm_weight", "length_bonus")
        report["rescored"] = dict(zip(names, (args.lm, *weights)))
        write(out, chosen, report)
        first = {utt: hyps[0].text if hyps else "" for utt, hyps in nbest.items()}
        other = sum(first[utt] != hyp.text for utt, hyp in chosen.items())
        print(
            f"{out}: {other} of {len(chosen)} hypotheses are others than the search's"
            f" own; lm_weight {weights[0]}, length_bonus {weights[1]}"
        )


if __name__ == "__main__":
    main()
