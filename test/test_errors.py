"""What a command's user sees of an error."""

import pytest

from espnet_lmkd.errors import InputError, exits_cleanly


def fail_with(error):
    @exits_cleanly
    def main(cmd=None):
        if isinstance(error, str):
            open(error)
        raise error

    main()


@pytest.mark.parametrize(
    "error, message",
    [
        (InputError("text:3: no words"), "error: text:3: no words\n"),
        ("exp/stats.npz", "error: exp/stats.npz: no such file in "),
    ],
)
def test_one_sentence_and_exit_code_1(error, message, capsys):
    with pytest.raises(SystemExit) as stop:
        fail_with(error)
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(message)


def test_anything_else_keeps_its_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        fail_with(str(tmp_path / "nothing"))
    with pytest.raises(ValueError):
        fail_with(ValueError("a fault of ours"))
