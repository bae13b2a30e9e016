import pytest

from espnet_lmkd.data.directory import (
    read_table,
    spk2utt,
    validate,
    write_directory,
    write_table,
)
from espnet_lmkd.errors import InputError


def lines(path, *content):
    path.write_text("".join(line + "\n" for line in content), encoding="utf-8")
    return path


def test_what_is_written_is_read_in_byte_order(tmp_path):
    table = {"b": "2", "a-1": "é  two words", "B": "1", "a": "0"}
    write_table(tmp_path / "new" / "text", table)
    assert list(read_table(tmp_path / "new" / "text")) == sorted(table, key=str.encode)
    assert read_table(tmp_path / "new" / "text") == table
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["text"]


@pytest.mark.parametrize(
    "content, message",
    [
        (["a one", "b"], r"text:2: utterance 'b' has an empty text; complete"),
        (["a one", "b  "], r"text:2: utterance 'b' has an empty text"),
        (["a one", "", "b two"], r"text:2: the line is empty"),
        (["a one", "a two"], r"text:2: duplicate id 'a'"),
        (["b one", "a two"], r"text:2: not sorted, 'a' comes after 'b'; run: LC_ALL=C"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_table(lines(tmp_path / "text", *content))


def test_no_such_table(tmp_path):
    with pytest.raises(InputError, match="text: a table was wanted"):
        read_table(tmp_path / "text")


def test_spk2utt_inverts_utt2spk():
    utt2spk = {"x-2": "x", "y-1": "y", "x-1": "x"}
    inverse = spk2utt(utt2spk)
    assert inverse == {"x": "x-1 x-2", "y": "y-1"}
    assert {u: s for s, us in inverse.items() for u in us.split()} == utt2spk


def test_validate_returns_the_tables(data_dir):
    tables = validate(data_dir)
    assert sorted(tables) == ["text", "utt2spk", "wav.scp"]
    assert tables["text"]["b-1"] == "THEIR SAIL"
    assert read_table(data_dir / "spk2utt")["a"] == "a-1 a-2"


def test_a_subset_is_written_whole(data_dir, tmp_path):
    write_directory(tmp_path / "sub", validate(data_dir), ["c-1", "a-2"])
    assert list(validate(tmp_path / "sub")["text"]) == ["a-2", "c-1"]
    assert read_table(tmp_path / "sub" / "spk2utt") == {"a": "a-2", "c": "c-1"}


def change(data_dir, name, utterance, value):
    table = read_table(data_dir / name)
    table[utterance] = value
    write_table(data_dir / name, table)


@pytest.mark.parametrize(
    "name, utterance, value, message",
    [
        ("text", "d-1", "MORE", "'d-1' is in text but not in wav.scp .1 such."),
        ("wav.scp", "d-1", "x.wav", "'d-1' is in wav.scp but not in text"),
        ("wav.scp", "b-1", "sox in.sph - |", "'b-1' is the command 'sox in.sph - |'"),
        ("wav.scp", "b-1", "/nowhere/x.wav", "'b-1' wants /nowhere/x.wav, which does"),
    ],
)
def test_validate_names_the_utterance(data_dir, name, utterance, value, message):
    change(data_dir, name, utterance, value)
    with pytest.raises(InputError, match=message):
        validate(data_dir)


def test_an_id_that_cannot_be_a_file_name_is_refused(data_dir):
    for name in ("wav.scp", "text", "utt2spk"):
        change(data_dir, name, "e/1", "x")
    with pytest.raises(InputError, match="'e/1' has a '/'"):
        validate(data_dir)


def test_an_empty_directory_is_refused(tmp_path):
    for name in ("wav.scp", "text", "utt2spk"):
        lines(tmp_path / name)
    with pytest.raises(InputError, match="empty data directory; run stage 1"):
        validate(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        validate(tmp_path / "missing")
