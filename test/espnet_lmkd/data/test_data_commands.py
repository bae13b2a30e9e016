import pytest

from espnet_lmkd.bin import check_overlap, format_data, make_tokens, perturb_speed
from espnet_lmkd.data.directory import read_table, validate, write_table


def test_stages_2_to_5_one_after_the_other(data_dir, tmp_path, capsys):
    sp, dump, tokens = (str(tmp_path / n) for n in ("train_sp", "dump", "tokens"))
    perturb_speed.main(["--data_dir", str(data_dir), "--out", sp])
    format_data.main(["--data_dir", sp, "--out", dump, "--max_seconds", "0.55"])
    make_tokens.main(
        ["--text", f"{dump}/text", "--token_type", "char", "--out", tokens]
    )
    printed = capsys.readouterr().out
    assert "12 utterances at speeds 1.0 0.9 1.1" in printed
    assert "8 utterances, 0.00 h; 4 shorter than 0.1 s or longer than 0.55" in printed
    assert len(validate(dump)["text"]) == 8
    assert sorted(read_table(f"{dump}/dropped"))[0] == "sp0.9-a-1"


def test_overlap_is_an_error_unless_only_reported(tmp_path, capsys):
    train, test = str(tmp_path / "train" / "text"), str(tmp_path / "test" / "text")
    write_table(train, {"a": "YES", "b": "GO"})
    write_table(test, {"c": "yes", "d": "NO"})
    pair = ["--train_text", train, "--held_out", test]
    with pytest.raises(SystemExit) as stopped:
        check_overlap.main(pair)
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert f"| {train} | {test} | 2 | 1 |" in printed.out
    assert printed.err.startswith("error: 1 held-out sentences occur")
    check_overlap.main(pair + ["--report_only"])
    write_table(test, {"d": "NO"})
    check_overlap.main(pair)


@pytest.mark.parametrize(
    "main, arguments, message",
    [
        (format_data.main, ["--data_dir", "nowhere", "--out", "o"], "no such file"),
        (perturb_speed.main, ["--data_dir", "no", "--out", "o"], "no such file"),
        (make_tokens.main, ["--text", "no", "--out", "o"], "no such file"),
        (check_overlap.main, ["--train_text", "n", "--held_out", "m/text"], "no such"),
    ],
)
def test_a_missing_input_is_one_sentence(
    main, arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
