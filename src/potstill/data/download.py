"""Published archives, fetched on first use."""

import hashlib
import http.client
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput
from potstill.say import say

CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class Archive:
    """A compressed tar file at ``url`` with its MD5 checksum, and the ``folder`` that it unpacks to."""

    url: str
    md5: str
    folder: str


def download(archive: Archive, into: Path) -> Path:
    """Fetch, verify and unpack an archive; returns ``into/archive.folder``, which is then whole or does not exist.

    Raises:
        BadInput: there is no connection, the checksum is wrong, or nothing can be written there.
    """
    target = into / archive.folder
    say(f"downloading {archive.url} to {target}")
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=f"{archive.folder}-") as name:
            packed = Path(name) / "archive"
            _fetch(archive, packed)
            with tarfile.open(packed) as tar:
                tar.extractall(name, filter="data")
            _move(Path(name) / archive.folder, target)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise BadInput(f"cannot download {archive.url}: {getattr(error, 'reason', error)}") from error
    except (tarfile.TarError, EOFError) as error:
        raise BadInput(f"{archive.url} cannot be unpacked: {error}") from error
    except OSError as error:
        raise BadInput(f"cannot download {archive.url} to {into}: {error.strerror or error}") from error
    return target


def _fetch(archive: Archive, path: Path) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(archive.url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != archive.md5:
        raise BadInput(f"{archive.url} has MD5 {digest.hexdigest()}, but {archive.md5} is published")


def _move(folder: Path, target: Path) -> None:
    """Put the folder in place in one step; another process that was faster has put the same files there."""
    if not folder.is_dir():
        raise tarfile.ReadError(f"it holds no folder {folder.name}")
    try:
        folder.replace(target)
    except OSError:
        if not target.is_dir():
            raise
