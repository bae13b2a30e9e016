import pytest

from espnet_lmkd.bin import combine_data
from espnet_lmkd.data.combine import combine_directories
from espnet_lmkd.data.directory import read_table, validate, write_directory
from espnet_lmkd.errors import InputError


@pytest.fixture
def parts(data_dir, tmp_path):
    tables = validate(data_dir)
    for name, utterances in (("one", ["a-1", "b-1"]), ("two", ["a-2", "c-1"])):
        write_directory(tmp_path / name, tables, utterances)
    return tmp_path / "one", tmp_path / "two"


def test_parts_make_the_whole(data_dir, parts, tmp_path, capsys):
    cmd = ["--data_dirs", *map(str, parts), "--out", str(tmp_path / "both")]
    combine_data.main(cmd)
    assert "4 utterances of " in capsys.readouterr().out
    for name in ("wav.scp", "text", "utt2spk", "spk2utt"):
        assert read_table(tmp_path / "both" / name) == read_table(data_dir / name)


def test_refuses_what_does_not_go_together(data_dir, parts, tmp_path):
    with pytest.raises(InputError, match="'a-1' is in another .*2 such"):
        combine_directories([data_dir, parts[0]], tmp_path / "both")
    (parts[1] / "text").unlink()
    with pytest.raises(InputError, match="two has wav.scp, utt2spk of raw audio"):
        combine_directories(parts, tmp_path / "both")
    (parts[0] / "text").unlink()
    (parts[0] / "feats_type").write_text("speech_encoder\n")
    with pytest.raises(InputError, match="of raw audio, .*one has .* of speech_enc"):
        combine_directories(parts, tmp_path / "both")
    assert not (tmp_path / "both").exists()
