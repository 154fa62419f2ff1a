"""Reading images one by one: what goes wrong is said, and never waited for."""

import threading
import time

import pytest

from potstill.data.files.decoding import BadImage
from potstill.data.files.folder import Folder
from potstill.data.files.reading import Reader


def test_a_readable_image(picture_folder):
    assert Reader(Folder(picture_folder / "train")).pixels(0).shape == (20, 40, 3)


def test_a_file_that_is_gone(picture_folder):
    reader = Reader(Folder(picture_folder / "train"))
    (picture_folder / "train" / "blue" / "0.png").unlink()
    with pytest.raises(BadImage, match="No such file"):
        reader.pixels(0)


def test_an_image_that_takes_too_long(picture_folder):
    images = Folder(picture_folder / "train")
    read = images.read
    images.read = lambda row: read(row) if row else time.sleep(60)
    reader = Reader(images, patience=0.2)
    start = time.monotonic()
    with pytest.raises(BadImage, match=r"takes longer than 0\.2 s"):
        reader.pixels(0)
    assert time.monotonic() - start < 10
    assert reader.pixels(1).shape == (25, 35, 3)
    time.sleep(0.3)  # no alarm is left behind


def test_in_another_thread_there_is_no_limit_but_it_reads(picture_folder):
    found = []
    reader = Reader(Folder(picture_folder / "train"))
    thread = threading.Thread(target=lambda: found.append(reader.pixels(0).shape))
    thread.start()
    thread.join()
    assert found == [(20, 40, 3)]
