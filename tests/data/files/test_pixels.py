"""The cache of decoded images."""

import os
import shutil
from collections import namedtuple

import pytest
import torch

import potstill as ps
from potstill.data.files.decoding import BadImage, Crops, decode
from potstill.data.files.folder import Folder
from potstill.data.files.pixels import PixelCache
from potstill.errors import BadInput

CROPS = Crops(16)


@pytest.fixture
def images(picture_folder):
    return Folder(picture_folder / "train")


def test_it_keeps_what_evaluation_needs(images, user_cache):
    cache = PixelCache(images, CROPS, workers=2)
    for row in range(12):
        kept = cache.pixels(row)
        assert min(kept.shape[:2]) == 18
        assert (kept == CROPS.shrunk(decode(images.read(row)))).all()
        assert torch.equal(CROPS.view(kept, 0), CROPS.view(decode(images.read(row)), 0))


def test_it_is_made_once_and_decodes_nothing_afterwards(images, user_cache, capsys):
    PixelCache(images, CROPS, workers=0)
    assert "decoding 12 images" in capsys.readouterr().err
    for path in images.root.glob("*/*.png"):
        status = path.stat()
        path.write_bytes(bytes(status.st_size))  # the images are gone, but look unchanged
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    cache = PixelCache(Folder(images.root), CROPS, workers=0)
    assert capsys.readouterr().err == ""
    assert cache.pixels(11).shape[2] == 3


def test_it_is_made_again_when_an_image_changes(images, user_cache, capsys):
    PixelCache(images, CROPS, workers=0)
    shutil.copy(images.root / "red" / "1.png", images.root / "blue" / "0.png")
    changed = Folder(images.root)
    kept = PixelCache(changed, CROPS, workers=0).pixels(0)
    assert (kept == CROPS.shrunk(decode(changed.read(0)))).all()
    assert capsys.readouterr().err.count("decoding 12 images") == 2


def test_another_size_is_another_file(images, user_cache):
    one, other = PixelCache(images, CROPS, workers=0), PixelCache(images, Crops(8), workers=0)
    assert one.file != other.file
    assert min(other.pixels(0).shape[:2]) == 9


def test_a_damaged_file_is_noticed_before_its_image_is_used(images, user_cache):
    cache = PixelCache(images, CROPS, workers=0)
    with cache.file.open("r+b") as file:
        file.seek(int(cache.starts[5]) + 10)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    again = PixelCache(images, CROPS, workers=0)
    again.pixels(4)
    with pytest.raises(BadInput, match=r"is damaged at .*green/1\.png; delete it"):
        again.pixels(5)
    cache.file.unlink()
    assert PixelCache(images, CROPS, workers=0).pixels(5).shape[2] == 3


def test_a_damaged_file_is_one_line_from_a_worker_too(picture_folder, user_cache):
    data = ps.data.load(str(picture_folder), image_size=16, workers=1, cache=True)
    for file in (user_cache / "potstill" / "pixels").glob("*.uint8"):
        file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(BadInput, match=r"^\S+ is damaged at \S+; delete it, and it is made again$"):
        next(iter(data.train))


def test_a_file_that_another_process_reads_is_not_written_to(images, user_cache):
    cache = PixelCache(images, CROPS, workers=0)
    before = cache.file.stat().st_ino
    cache.pixels(0)
    cache.index.unlink()
    again = PixelCache(images, CROPS, workers=0)
    assert again.file.stat().st_ino != before
    assert (again.pixels(11) == cache.pixels(11)).all()


def test_the_callers_random_numbers_are_left_alone(images, user_cache):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    PixelCache(images, CROPS, workers=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_damaged_index_is_noticed(images, user_cache):
    cache = PixelCache(images, CROPS, workers=0)
    content = bytearray(cache.index.read_bytes())
    content[-3] ^= 1
    cache.index.write_bytes(content)
    with pytest.raises(BadInput, match="do not belong together"):
        PixelCache(images, CROPS, workers=0)
    cache.index.write_bytes(b"")
    with pytest.raises(BadInput, match="is damaged"):
        PixelCache(images, CROPS, workers=0)


def test_what_cannot_be_decoded_is_remembered(images, user_cache):
    (images.root / "green" / "1.png").write_bytes(b"no image")
    for _ in range(2):
        cache = PixelCache(Folder(images.root), CROPS, workers=0)
        with pytest.raises(BadImage, match=r"cannot identify .*; to try again, delete .*\.safetensors"):
            cache.pixels(5)
        assert cache.pixels(6).shape[2] == 3


def test_a_disk_without_room(images, user_cache, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1000))
    with pytest.raises(BadInput, match=r"--cache needs about .* has 0 GB; \$XDG_CACHE_HOME"):
        PixelCache(images, CROPS, workers=0)
    assert not [path for path in (user_cache / "potstill" / "pixels").iterdir() if not path.name.startswith(".")]


def test_batches_from_the_cache(picture_folder, user_cache):
    read, cached = (
        ps.data.load(str(picture_folder), image_size=16, batch_size=4, workers=workers, cache=cache)
        for workers, cache in ((0, False), (2, True))
    )
    for one, other in zip(read.test, cached.test, strict=True):
        assert torch.equal(one["images"], other["images"])  # evaluation is the same, bit for bit
    for one, other in zip(read.train, cached.train, strict=True):
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(one["view"], other["view"])


def test_a_bad_image_out_of_the_cache(picture_folder, user_cache, capsys):
    (picture_folder / "train" / "green" / "1.png").write_bytes(b"no image")
    data = ps.data.load(str(picture_folder), image_size=16, workers=1, cache=True, on_bad_image="skip")
    assert sum(len(batch["labels"]) for batch in data.train) == 11
    assert "green/1.png cannot be read and is left out" in capsys.readouterr().err
