"""Decoded images are kept, and never trusted blindly."""

from pathlib import Path

import pytest
import torch

from potstill.data import ImageSet
from potstill.data.cache import cache_folder, decoded


class Decoder:
    """Counts how often it had to work."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> ImageSet:
        self.calls += 1
        return ImageSet(torch.arange(48, dtype=torch.uint8).view(1, 4, 4, 3), torch.tensor([7]))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"one")
    return path


def cached_file() -> Path:
    (path,) = (cache_folder() / "decoded").iterdir()
    return path


def check(image_set: ImageSet) -> None:
    assert torch.equal(image_set.images, Decoder()().images)
    assert image_set.labels.tolist() == [7]


def test_decoded_once_until_the_source_changes(source):
    decode = Decoder()
    for _ in range(3):
        check(decoded([source], "img", decode))
    assert decode.calls == 1
    decoded([source], "other column", decode)
    assert decode.calls == 2
    source.write_bytes(b"longer")
    decoded([source], "img", decode)
    assert decode.calls == 3


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty])
def test_a_corrupt_file_is_reported_and_rebuilt(source, damage, capsys):
    decode = Decoder()
    decoded([source], "img", decode)
    damage(cached_file())
    check(decoded([source], "img", decode))
    assert f"rebuilding the corrupt cache file {cached_file()}" in capsys.readouterr().err
    check(decoded([source], "img", decode))
    assert decode.calls == 2


def test_a_cache_that_cannot_be_written_is_said_once_and_does_not_stop(source, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))  # a file, where a folder is needed
    check(decoded([source], "img", Decoder()))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "decoded images are not cached" in lines[0]


def test_a_write_that_breaks_off_leaves_nothing_half_written(source, capsys):
    decoded([source], "img", Decoder())
    target = cached_file()
    target.unlink()
    target.mkdir()  # so that the finished file cannot be put in its place
    check(decoded([source], "img", Decoder()))
    assert "decoded images are not cached" in capsys.readouterr().err
    assert cached_file() == target


def test_the_folder_without_the_variable(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "potstill"
