"""Archives from a real server on this machine."""

import functools
import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from potstill.data.cache import cache_folder
from potstill.data.cifar import CIFAR10, read
from potstill.data.download import Archive, download
from potstill.errors import BadInput


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An address, and the folder whose files it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", folder
        httpd.shutdown()
        thread.join()


def packed(path: Path, folder: Path) -> str:
    """Pack a folder under its own name; returns the MD5 of the archive."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, folder.name)
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_set_found_nowhere_is_downloaded_once(server, batches, images, capsys):
    address, served = server
    md5 = packed(served / "c.tar.gz", batches / "cifar-10-batches-py")
    layout = replace(CIFAR10, archive=Archive(f"{address}/c.tar.gz", md5, "cifar-10-batches-py"))
    train, test = read(layout)
    np.testing.assert_array_equal(train.images.numpy(), images[:8])
    np.testing.assert_array_equal(test.images.numpy(), images[8:])
    assert f"downloading {address}/c.tar.gz to {cache_folder()}" in capsys.readouterr().err
    assert [path.name for path in cache_folder().iterdir()] == ["cifar-10-batches-py"]
    (served / "c.tar.gz").unlink()
    assert len(read(layout)[0]) == 8
    assert "downloading" not in capsys.readouterr().err


def escaping() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("../escaped")
        tar.addfile(member)
    return buffer.getvalue()


def empty_tar() -> bytes:
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w:gz").close()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "md5", "message"),
    [
        (b"changed", "0" * 32, r"has MD5 [0-9a-f]{32}, but 0{32} is published"),
        (b"no archive", None, "cannot be unpacked"),
        (escaping(), None, "cannot be unpacked: .*escaped"),
        (empty_tar(), None, "cannot be unpacked: it holds no folder inner"),
        (None, "0" * 32, "cannot download .*: File not found"),
    ],
    ids=["checksum", "no-tar", "escaping", "no-folder", "absent"],
)
def test_bad_archives_leave_nothing_behind(server, tmp_path, content, md5, message):
    address, served = server
    if content is not None:
        (served / "a.tar.gz").write_bytes(content)
        md5 = md5 or hashlib.md5(content).hexdigest()
    into = tmp_path / "into"
    with pytest.raises(BadInput, match=message):
        download(Archive(f"{address}/a.tar.gz", md5, "inner"), into)
    assert list(into.iterdir()) == []
    assert not (tmp_path / "escaped").exists()


def test_without_a_network_it_says_where_it_looked_and_what_to_do(tmp_path):
    with socket.socket() as closed:  # a port of our own at which nobody answers
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/c.tar.gz"
        layout = replace(CIFAR10, archive=replace(CIFAR10.archive, url=address))
        with pytest.raises(BadInput) as caught:
            read(layout, tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path / "cifar10"), str(cache_folder()), "cannot download", "Connection refused", "--data-dir"):
        assert part in message
    assert "\n" not in message


def test_a_folder_that_cannot_be_written(server, tmp_path, batches):
    address, served = server
    md5 = packed(served / "c.tar.gz", batches / "cifar-10-batches-py")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot download .* to .*file"):
        download(Archive(f"{address}/c.tar.gz", md5, "cifar-10-batches-py"), tmp_path / "file" / "below")
