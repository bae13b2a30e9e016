"""Fetch a corpus's archive and unpack it without trusting its member names."""

import os
import shutil
import tarfile
import urllib.request
from pathlib import Path

from tqdm import tqdm

from espnet_lmkd.errors import InputError


def download(url, path):
    """Download a file unless it is there; it appears complete or not at all.

    Args:
        url: Where from.
        path: The file to write; its folder is made.

    Raises:
        InputError: The download fails or breaks off.
    """
    path = Path(path)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm.wrapattr(response, "read", total=size, desc=path.name) as source:
                with unfinished.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except OSError as error:
        raise InputError(
            f"{url} cannot be downloaded ({error}); fetch it yourself and name its"
            " folder in db.sh or the environment"
        ) from error
    if size is not None and unfinished.stat().st_size != size:
        raise InputError(f"{url}: the download broke off; start it again")
    os.replace(unfinished, path)


def extract(archive, out):
    """Unpack a tar archive; the folder appears complete or not at all.

    Members that would land outside, and all links and devices are refused.

    Args:
        archive: A .tar or .tar.gz file.
        out: Folder to make; an existing one is left as it is.

    Raises:
        InputError: Not an archive, a truncated one, or one with an unsafe member.
    """
    out = Path(out)
    if out.exists():
        return
    unfinished = out.with_name(out.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        with tarfile.open(archive) as members:
            for member in members:  # filter="data" came with Python 3.11.4
                if not _is_safe(member, unfinished):
                    raise tarfile.TarError(f"unsafe member {member.name}")
                members.extract(member, unfinished)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(
            f"{archive} cannot be unpacked ({error}); remove it and fetch it again"
        ) from error
    os.replace(unfinished, out)


def _is_safe(member, folder):
    target = (folder / member.name).resolve()
    inside = target.is_relative_to(folder.resolve())
    return inside and (member.isfile() or member.isdir())
