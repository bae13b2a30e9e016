import io
import tarfile

import pytest

from espnet_lmkd.data.archive import download, extract
from espnet_lmkd.errors import InputError


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_is_unpacked_once(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"an4/README": b"read me"})
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / "an4" / "README").read_bytes() == b"read me"
    (tmp_path / "out" / "mark").write_text("kept")
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / "mark").exists()


def test_a_member_that_would_land_outside_is_refused(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"ok": b"", "../../evil": b"x"})
    with pytest.raises(InputError, match="cannot be unpacked"):
        extract(archive, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "deep" / "out").exists()


def test_a_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(info)
    with pytest.raises(InputError, match="unsafe member link"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_archive_leaves_nothing_complete(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"big": bytes(range(256)) * 999})
    archive.write_bytes(archive.read_bytes()[:-99])
    with pytest.raises(InputError, match="remove it and fetch it again"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_download_is_atomic_and_kept(tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(b"abc" * 1000)
    download(source.as_uri(), tmp_path / "new" / "copy.bin")
    assert (tmp_path / "new" / "copy.bin").read_bytes() == source.read_bytes()
    source.unlink()
    download(source.as_uri(), tmp_path / "new" / "copy.bin")
    with pytest.raises(InputError, match="cannot be downloaded .* fetch it yourself"):
        download(source.as_uri(), tmp_path / "new" / "other.bin")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy.bin"]
