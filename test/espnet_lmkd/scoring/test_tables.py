import pytest

from espnet_lmkd.bin import score as score_bin
from espnet_lmkd.scoring.counts import score
from espnet_lmkd.scoring.tables import read_score, sclite_table, summary, write_score

REFERENCES = {"s1-a": "the cat sat", "s1-b": "on the mat", "s2-c": "yes"}
HYPOTHESES = {"s1-a": "the cat", "s1-b": "on a mat today", "s2-c": "yes"}
UTT2SPK = {"s1-a": "s1", "s1-b": "s1", "s2-c": "s2"}


@pytest.fixture
def scored():
    return score(REFERENCES, HYPOTHESES, UTT2SPK, str.split)


def test_columns_of_sclite(scored):
    # 7 words: 5 correct, 1 substituted, 1 deleted, 1 inserted; 2 of 3 sentences wrong
    expected = ["3", "7", "71.4", "14.3", "14.3", "14.3", "42.9", "66.7"]
    assert summary(scored) == expected
    rows = [line for line in sclite_table(scored).split("\n") if "|" in line]
    by_name = {row.split("|")[1].strip(): row.split("|") for row in rows}
    assert {"SPKR", "s1", "s2", "Sum/Avg"} <= set(by_name)
    counts, shares = by_name["Sum/Avg"][2:4]
    assert counts.split() + shares.split() == expected
    assert by_name["s2"][3].split()[0] == "100.0"


def test_espnets_results_script_finds_the_line(scored):
    """`show_asr_result.sh`: grep Avg, drop Sum/Avg, squeeze separators to pipes."""
    (line,) = [row for row in sclite_table(scored).split("\n") if "Avg" in row]
    cells = line.replace("Sum/Avg", "").replace("|", " ").split()
    assert len(cells) == len("Snt Wrd Corr Sub Del Ins Err S.Err".split())


def test_score_is_read_back(scored, tmp_path):
    write_score(tmp_path, scored)
    read = read_score(tmp_path)
    assert [u.counts for u in read] == [u.counts for u in scored]
    assert [u.speaker for u in read] == ["s1", "s1", "s2"]
    assert (tmp_path / "hyp.trn").read_text().startswith("the cat\t(s1-s1-a)\n")


def write_tables(directory, **tables):
    directory.mkdir(parents=True)
    for name, table in tables.items():
        lines = [f"{key} {value}\n" for key, value in sorted(table.items())]
        (directory / name).write_text("".join(lines))


def test_command_scores_every_pair(tmp_path, capsys):
    data = tmp_path / "dump" / "test"
    write_tables(data, text=REFERENCES, utt2spk=UTT2SPK)
    for system in ("a", "b"):
        write_tables(tmp_path / system / "test", text=HYPOTHESES)
    decoded = [str(tmp_path / system) for system in ("a", "b")]
    score_bin.main(["--data_dirs", str(data), "--decode_dirs", *decoded])
    printed = capsys.readouterr().out
    assert f"|{tmp_path}/b/test|3|7|71.4|14.3|14.3|14.3|42.9|66.7|" in printed
    for kind in ("wer", "cer"):
        result = tmp_path / "a" / "test" / f"score_{kind}" / "result.txt"
        assert "Sum/Avg" in result.read_text()
    # ref 25 characters with spaces; " sat" is 4, "the" -> "a" 3, " today" 6
    (cer,) = [
        line for line in result.read_text().split("\n") if line.startswith("| Sum/Avg")
    ]
    assert cer.split("|")[2].split() == ["3", "24"]


def test_command_names_missing_hypotheses(tmp_path, capsys):
    write_tables(tmp_path / "test", text=REFERENCES, utt2spk=UTT2SPK)
    write_tables(tmp_path / "a" / "test", text={"s1-a": "the"})
    arguments = ["--data_dirs", str(tmp_path / "test"), "--decode_dirs"]
    with pytest.raises(SystemExit) as stopped:
        score_bin.main([*arguments, str(tmp_path / "a")])
    assert stopped.value.code == 1
    assert "2 utterances are without a hypothesis" in capsys.readouterr().err
