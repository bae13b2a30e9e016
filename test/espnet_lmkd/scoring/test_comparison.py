"""From scored experiments to the table, the figure and the errors on the way."""

import json

import pytest

from espnet_lmkd.bin import compare
from espnet_lmkd.errors import InputError
from espnet_lmkd.scoring.counts import score
from espnet_lmkd.scoring.experiment import (
    Run,
    parse_systems,
    read_log,
    span_minutes,
)
from espnet_lmkd.scoring.tables import write_score

LINE = (
    "[node] 2025-01-01 10:00:00,123 (trainer:365) INFO: {epoch}epoch results: [train] "
    "iter_time=1.5e-04, forward_time=0.045, loss_ctc=57.3, loss=1.234e+03, "
    "optim0_lr0=2.000e-05, train_time=0.123, time=1 minute and 12.5 seconds, "
    "total_count=8, gpu_max_cached_mem_GB=0.000, [valid] loss_ctc=40.1, "
    "cer_ctc={cer}, loss=40.1, time=2.5 seconds, total_count=2, "
    "gpu_max_cached_mem_GB=0.000\n"
)
WORDS = "one two three four five six seven eight nine ten".split()


def make_experiment(exp, tag, wrong, parameters=1_500_000):
    """Write an experiment whose system misses `wrong` of the ten words of each line."""
    references = {f"s{i % 5}-u{i:02d}": " ".join(WORDS) for i in range(40)}
    hypotheses = {utt: " ".join(WORDS[wrong:]) for utt in references}
    utt2spk = {utt: utt[:2] for utt in references}
    folder = exp / tag / "test"
    for kind in ("wer", "cer"):
        write_score(
            folder / f"score_{kind}", score(references, hypotheses, utt2spk, str.split)
        )
    rtf = dict(rtf=0.05, search="ctc_greedy", device="cpu", parameters=parameters)
    (folder / "rtf.json").write_text(json.dumps(rtf))
    log = "".join(LINE.format(epoch=e, cer=1 / e) for e in (1, 2))
    (exp / "train.log").write_text("noise\n" + log)


@pytest.fixture
def experiments(tmp_path):
    make_experiment(tmp_path / "asr_base", "greedy", 4)
    make_experiment(tmp_path / "asr_base", "lm", 3, parameters=2_500_000)
    for seed in (1, 2):
        make_experiment(tmp_path / f"asr_kd_seed{seed}", "greedy", 2)
    return tmp_path


def test_time_spans():
    assert span_minutes("2.5 seconds") == pytest.approx(2.5 / 60)
    assert span_minutes("1 day, 2 hours and 3 minutes") == 1563


def test_log_is_read(experiments):
    epochs = read_log(experiments / "asr_base")
    assert list(epochs) == [1, 2]
    assert epochs[1]["train"]["loss"] == 1234
    assert epochs[1]["train"]["optim0_lr0"] == 2e-5
    assert epochs[2]["valid"]["cer_ctc"] == 0.5
    run = Run(experiments / "asr_base", "greedy")
    assert run.training_minutes() == pytest.approx(2 * (72.5 + 2.5) / 60)
    assert run.curve() == {"stat": "cer_ctc", "epochs": [1, 2], "values": [1.0, 0.5]}


def test_without_a_log_there_is_no_cost(tmp_path):
    assert Run(tmp_path, "greedy").training_minutes() is None
    assert Run(tmp_path, "greedy").curve() is None


def test_seeds_and_tags_are_told_apart(experiments):
    directories = [str(experiments / f"asr_kd_seed{seed}") for seed in (1, 2)]
    fusion = f"LM fusion={experiments / 'asr_base'}:lm"
    systems = parse_systems([*directories, fusion], "greedy")
    assert {name: len(runs) for name, runs in systems.items()} == {
        "kd": 2,
        "LM fusion": 1,
    }
    assert systems["LM fusion"][0].decode == "lm"
    base = str(experiments / "asr_base")
    both = parse_systems([f"{base}:greedy", f"{base}:lm"], None)
    assert list(both) == ["base", "base, lm"]
    for specs, message in (
        ([str(experiments / "nothing")], "no such experiment"),
        (directories[:1] * 2, "given twice"),
        ([f"a={base}", f"a={directories[0]}:lm"], "as greedy and as lm"),
    ):
        with pytest.raises(InputError, match=message):
            parse_systems(specs, "greedy")
    with pytest.raises(InputError, match="--decode"):
        parse_systems(directories, None)


def test_command_compares(experiments, capsys):
    out = experiments / "compare"
    specs = [
        f"greedy={experiments / 'asr_base'}",
        f"fusion={experiments / 'asr_base'}:lm",
        *(str(experiments / f"asr_kd_seed{seed}") for seed in (1, 2)),
    ]
    compare.main(
        ["--exp", *specs, "--decode", "greedy", "--test_sets", "test"]
        + ["--out", str(out)]
    )
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.split("\n") if line[:1] == "|"]
    # every utterance loses 4, 3 and 2 of 10 words: no spread at all
    assert rows[2][:5] == ["greedy", "1", "40.00", "40.00", "baseline"]
    assert rows[3][:8] == [
        *("fusion", "1", "30.00", "30.00", "-25.0 %", "[-25.0, -25.0]", "1.00"),
        "2.50 M",
    ]
    assert rows[4][:6] == [
        *("kd", "2", "20.00 ± 0.00", "20.00 ± 0.00", "-50.0 %", "[-50.0, -50.0]")
    ]
    assert rows[4][8:] == ["0.050", "2.5 min"]
    assert (out / "compare.md").read_text().strip() == printed.strip()
    saved = json.loads((out / "compare.json").read_text())
    assert [row["seeds"] for row in saved] == [1, 1, 2]
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_command_refuses_other_utterances(experiments, capsys):
    path = experiments / "asr_kd_seed2" / "greedy" / "test" / "score_wer"
    lines = (path / "utterances.tsv").read_text().splitlines(keepends=True)
    (path / "utterances.tsv").write_text("".join(lines[:-1]))
    specs = [str(experiments / name) for name in ("asr_base", "asr_kd_seed2")]
    arguments = ["--decode", "greedy", "--test_sets", "test", "--exp", *specs]
    with pytest.raises(SystemExit):
        compare.main(arguments)
    assert "other utterances or references" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare.main([*arguments, "--baseline", "nobody"])
    assert "choose from ['base', 'kd']" in capsys.readouterr().err
