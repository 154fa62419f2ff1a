"""Which files are opened as images, how large, and what becomes of those of 16 bits."""

import io
import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from data.odd_folders import IMAGES, parquet, png, put
from PIL import Image, PngImagePlugin

import potstill as ps
from potstill.data import pictures
from potstill.data.files.decoding import BadImage, decode
from potstill.data.files.image_files import read_images
from potstill.data.files.listed import Listed
from potstill.errors import BadInput

PICTURE = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))


def saved(kind, picture=PICTURE, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "MPO"])
def test_the_formats_that_are_read(kind):  # A6
    assert decode(saved(kind)).shape == (10, 10, 3)


OTHERS = {
    "EPS": saved("EPS"),
    "PDF": saved("PDF"),
    "ICO": saved("ICO"),
    "TGA": saved("TGA"),
    "PCX": saved("PCX"),
    "SGI": saved("SGI"),
    "JPEG2000": saved("JPEG2000"),
    "ICNS": saved("ICNS", PICTURE.resize((32, 32))),
    "DDS": saved("DDS"),
    "PSD": b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(400),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\n",
    "DOS EPS": b"\xc5\xd0\xd3\xc6" + bytes(100),
    "WMF": b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(100),
    "XBM": b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = {0,0,0,0,0,0,0,0};",
    "XPM": b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000000", "a"};',
    "FITS": b"SIMPLE  =                    T" + b" " * 2850,
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a web page": b"<!DOCTYPE html><html>",
    "LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "HEIC": b"\x00\x00\x00\x18ftypheic" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_format_is_opened(name, monkeypatch, tmp_path, user_cache):  # A6
    """Neither in a folder, whatever it is called, nor in Parquet; and no program is started."""
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(BadImage):
        decode(OTHERS[name])
    put(tmp_path, "6*train/cat", "6*train/dog", "1*val/cat")
    (tmp_path / "train" / "cat" / "0.png").write_bytes(OTHERS[name])
    with pytest.raises(BadInput, match=r"0\.png cannot be read"):
        list(ps.data.load(str(tmp_path), workers=0, image_size=8).train)
    for split in ("train", "test"):
        parquet(tmp_path / "cifar10" / f"{split}-00000-of-00001.parquet", [1])
    table = {"img": [{"bytes": OTHERS[name], "path": "x.png"}]}
    pyarrow.parquet.write_table(
        pyarrow.table({**table, "label": [1]}), tmp_path / "cifar10" / "train-00000-of-00001.parquet"
    )
    with pytest.raises(BadInput, match="row 0: the image cannot be decoded"):
        ps.data.load("cifar10", data_dir=tmp_path)


def test_what_a_file_is_instead_is_said():  # A6
    for name, word in {"EPS": "PostScript", "PSD": "Photoshop", "LFS": "Git LFS", "HEIC": "HEIC", "SVG": "SVG"}.items():
        with pytest.raises(BadImage, match=f"it is .*{word}.*, not one of JPEG, PNG"):
            decode(OTHERS[name])
    with pytest.raises(BadImage, match="it is empty"):
        decode(b"")


def test_pillow_is_called_in_one_place():  # A6
    sources = Path(ps.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "Image.open(" in path.read_text()] == ["pictures.py"]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def blank_png(width, height):
    """A grey PNG, small however large the image is."""

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return pictures.PNG + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("limit", [1, 100, 40_000])
def test_images_that_pillow_refuses_or_warns_of_are_decoded(monkeypatch, limit):  # C12
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises((Image.DecompressionBombError, Image.DecompressionBombWarning)):
        Image.open(io.BytesIO(blank_png(200, 300))).load()
    assert decode(blank_png(200, 300)).shape == (300, 200, 3)
    assert limit == Image.MAX_IMAGE_PIXELS
    assert 182e6 < pictures.MOST_PIXELS < 2**30


@pytest.mark.parametrize("size", [(16_385, 16_384), (40_000, 20_000), (2**31 - 1, 2**31 - 1), (60_000, 60_000)])
def test_larger_ones_say_how_large(size):  # C12
    content = bytearray(blank_png(1, 1))
    content[16:24] = struct.pack(">II", *size)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with pytest.raises(BadImage, match="more than the 268 megapixels that are decoded: scale it down"):
        decode(bytes(content))


def texts(kind, size):
    info = PngImagePlugin.PngInfo()
    if kind == "many":
        for number in range(70):
            info.add_text(f"k{number}", "a" * (2**20 - 10), zip=True)
    elif kind == "itxt":
        info.add_itxt("k", "a" * size, zip=True)
    else:
        info.add_text("k", "a" * size, zip=kind == "ztxt")
    return saved("PNG", pnginfo=info)


@pytest.mark.parametrize(("kind", "size"), [("text", 2**22), ("ztxt", 2**22), ("itxt", 2**22), ("many", 0)])
def test_long_texts_are_skipped(kind, size):  # C12
    assert np.array_equal(decode(texts(kind, size)), np.array(PICTURE))


def test_a_long_colour_profile_is_skipped():  # C12
    assert np.array_equal(decode(saved("PNG", icc_profile=bytes(2**22))), np.array(PICTURE))


@pytest.mark.parametrize("place", range(8, 60, 7))
def test_a_damaged_png_with_a_long_text_is_a_bad_image(place):  # C12
    content = bytearray(texts("ztxt", 2**22))
    content[place] ^= 0xFF
    try:
        decode(bytes(content))
    except BadImage as error:
        assert str(error)  # noqa: PT017 - it may as well be decoded


@pytest.mark.parametrize("make", ["mkfifo", "zero", "folder", "huge"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, make):
    put(tmp_path, "3*cat", "3*dog")
    path = tmp_path / "cat" / "1.png"
    path.unlink()
    if make == "mkfifo":
        os.mkfifo(path)
    elif make == "zero":
        path.symlink_to("/dev/zero")
    elif make == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(2**33)
    images = Listed(tmp_path, ["cat/0.png", "cat/1.png"], [0, 0], ["cat"])
    with pytest.raises(ValueError, match="it is no regular file|it has 8.0 GiB, more than"):
        images.read(1)
    assert images.head(1) == b"" or make == "huge"
    assert len(images.sizes()) == 2


def deep(bits, number, kind="PNG"):
    """An image of 16 bits, of which it uses some, and its values (H, W) or (H, W, 3)."""
    shape = (12, 10, COLOURS[kind]) if kind in COLOURS else (12, 10)
    values = np.random.default_rng(number).integers(2**bits, size=shape, dtype=np.uint16)
    values[0, 0] = 2**bits - 1 if number == 0 else 1
    if kind == "PGM":
        return b"P5 10 12 65535\n" + values.astype(">u2").tobytes(), values
    if kind in COLOURS:
        rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
        head = struct.pack(">IIBBBBB", 10, 12, 16, {2: 4, 3: 2, 4: 6}[COLOURS[kind]], 0, 0, 0)
        parts = {b"IHDR": head, b"IDAT": zlib.compress(rows), b"IEND": b""}
        seen = values[..., : 3 if COLOURS[kind] > 2 else 1]
        return pictures.PNG + b"".join(chunk(name, part) for name, part in parts.items()), seen
    return saved(kind, Image.fromarray(values)), values


COLOURS = {"RGB": 3, "RGBA": 4, "LA": 2}


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PGM", "RGB", "RGBA"])
def test_the_bits_that_a_set_uses_are_white(tmp_path, bits, kind, capsys, user_cache):  # B10
    put(tmp_path, "6*train/cat", "6*train/dog", "1*val/cat")
    ending = kind.lower() if kind in ("TIFF", "PGM") else "png"
    for number in range(3):
        content, values = deep(bits, number, kind)
        (tmp_path / "train" / "cat" / f"{number}.png").unlink()
        (tmp_path / "train" / "cat" / f"{number}.{ending}").write_bytes(content)
    files = read_images(tmp_path)
    assert files.train.bits == files.test.bits == bits
    assert f"its 16-bit images use {bits} bits: 0..{2**bits - 1} is taken" in capsys.readouterr().err
    row = next(row for row in range(12) if files.train.name(row).endswith(f"cat/2.{ending}"))
    pixels = decode(files.train.read(row), files.train.bits)
    assert np.array_equal(
        pixels, np.broadcast_to((values if values.ndim == 3 else values[..., None]) >> (bits - 8), pixels.shape)
    )
    data = ps.data.load(str(tmp_path), workers=0, image_size=8, normalize="0 0 0 1 1 1", batch_size=12)
    brightest = {
        int(row): image.max().item() for b in data.train for row, image in zip(b["index"], b["images"], strict=True)
    }
    assert brightest[row] > 0.5


@pytest.mark.parametrize(("bits", "message"), [(16, None), (12, "0.png is of 16 bits a value, of which 12 are used")])
def test_where_the_lower_bits_cannot_be_read_they_must_not_matter(tmp_path, bits, message, user_cache):  # B10
    put(tmp_path, "6*cat", "6*dog")
    for number in range(6):
        (tmp_path / "cat" / f"{number}.png").write_bytes(deep(bits, number, "LA")[0])
    if message is None:
        assert read_images(tmp_path).train.bits == 16
    else:
        with pytest.raises(BadInput, match=message):
            read_images(tmp_path)


def test_a_dark_image_of_a_set_stays_dark(tmp_path, user_cache):  # B10
    put(tmp_path, "6*train/cat", "6*train/dog", "1*val/cat")
    bright, dark = deep(16, 0)[0], deep(9, 1)[0]
    (tmp_path / "train" / "cat" / "0.png").write_bytes(bright)
    (tmp_path / "train" / "cat" / "1.png").write_bytes(dark)
    files = read_images(tmp_path)
    assert files.train.bits == 16
    assert decode(files.train.read(1), files.train.bits).max() < 2
    (tmp_path / "train" / "cat" / "0.png").write_bytes(IMAGES[0])
    assert read_images(tmp_path).train.bits == 10


def test_parquet_of_12_bits_and_the_cache(tmp_path, user_cache):  # B10
    content = [deep(12, number)[0] for number in range(12)]
    pyarrow.parquet.write_table(pyarrow.table({"image": content, "label": [0, 1] * 6}), tmp_path / "train.parquet")
    data = ps.data.load(str(tmp_path), workers=0, image_size=8, cache=True, normalize="0 0 0 1 1 1")
    assert data.example()["images"].mean().item() > 0.3


def test_eight_bits_need_no_look(tmp_path, user_cache):  # B10
    put(tmp_path, "6*cat", "6*dog")
    assert read_images(tmp_path).train.bits == 16
    assert not (user_cache / "potstill" / "depths").exists()
    assert png() == IMAGES[0]
