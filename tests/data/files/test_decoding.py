"""Decoding, and the crops of training and evaluation."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from potstill.data.files.decoding import PLAIN, BadImage, Crops, decode
from potstill.errors import BadInput


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(256, size=(40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_every_kind_of_file_gives_its_pixels(pixels, kind):
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), kind)), pixels)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1"])
def test_every_mode_becomes_rgb(pixels, mode):
    picture = Image.fromarray(pixels).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert np.array_equal(decode(encoded(picture, kind)), np.array(picture.convert("RGB")))


def test_an_orientation_is_not_followed(pixels):
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6
    assert decode(encoded(picture, "JPEG", exif=exif)).shape == (40, 60, 3)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_what_cannot_be_decoded(pixels, content):
    if content is None:
        content = encoded(Image.fromarray(pixels), "PNG")[:2000]
    with pytest.raises(BadImage) as error:
        decode(content)
    assert str(error.value)
    assert "0x" not in str(error.value)


def test_the_plain_view_is_torchvisions(pixels):
    expected = v2.Compose([v2.Resize(37), v2.CenterCrop(32)])(torch.from_numpy(pixels).permute(2, 0, 1))
    assert torch.equal(Crops(32).view(pixels, PLAIN).permute(2, 0, 1), expected)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_random_view_is_torchvisions(pixels, seed):
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = v2.RandomResizedCrop(32)(image)
        expected = expected.flip(2) if torch.rand(()) < 0.5 else expected
        ours = Crops(32).view(pixels, seed).permute(2, 0, 1)
    # One level: torchvision rounds otherwise when the channels are in another order.
    assert (ours.int() - expected.int()).abs().max() <= 1


def test_views_are_as_wide_and_as_often_mirrored_as_they_should_be():
    # Pixels that tell their place: red is the column, green the row.
    columns, rows = np.meshgrid(np.arange(200, dtype=np.uint8), np.arange(200, dtype=np.uint8))
    pixels = np.stack([columns, rows, rows], axis=2)
    crops = Crops(16)
    with torch.random.fork_rng(devices=[]):
        views = torch.stack([crops.view(pixels, seed) for seed in range(1, 401)]).float()
    widths = (views[:, 8, -1, 0] - views[:, 8, 0, 0]) / 15 * 16 / 200
    heights = (views[:, -1, 8, 1] - views[:, 0, 8, 1]) / 15 * 16 / 200
    mirrored = (widths < 0).float().mean().item()
    assert mirrored == pytest.approx(0.5, abs=5 * 0.5 / 20)  # five standard errors
    areas = widths.abs() * heights
    assert areas.min() > 0.07
    assert areas.max() < 1.01
    assert areas.mean().item() == pytest.approx(usual_areas().mean(), abs=5 * areas.std().item() / 20)
    ratios = widths.abs() / heights
    assert ratios.min() > 0.74
    assert ratios.max() < 1.36


def usual_areas():
    """Areas of crops out of a square: 8 to 100 % of it and sides 3:4 to 4:3, drawn again where they do not fit."""
    drawn = np.random.default_rng(0)
    areas, ratios = drawn.uniform(0.08, 1, 10000), np.exp(drawn.uniform(np.log(3 / 4), np.log(4 / 3), 10000))
    return areas[(areas * ratios <= 1) & (areas / ratios <= 1)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PGM"])
def test_of_sixteen_bits_the_upper_eight_are_taken(kind):
    values = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    if kind == "PGM":  # the other byte first, as Pillow does not write it
        content = b"P5 8 8 65535\n" + values.astype(">u2").tobytes()
    else:
        content = encoded(Image.fromarray(values), kind)
    assert np.array_equal(decode(content), np.repeat((values // 256)[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_of_which_none_is_white_are_no_image(kind):
    with pytest.raises(BadImage, match="32-bit numbers"):
        decode(encoded(Image.fromarray(np.full((4, 4), 1, kind)), "TIFF"))


def test_a_palette_with_transparency(pixels):
    picture = Image.fromarray(pixels).quantize(16)
    plain, glass = encoded(picture, "PNG"), encoded(picture, "PNG", transparency=bytes(range(16)))
    assert np.array_equal(decode(glass), decode(plain))  # Pillow warns at other ways to do it: here that is an error


def test_only_the_middle_of_a_very_long_image_is_scaled():
    crops = Crops(224)
    line = np.arange(5000, dtype=np.uint16).astype(np.uint8)[None, :, None].repeat(3, 2)
    assert crops.shrunk(line).shape == (256, 64 * 256, 3)
    whole = v2.Compose([v2.Resize(18), v2.CenterCrop(16)])
    expected = whole(torch.from_numpy(line).permute(2, 0, 1)).permute(1, 2, 0)
    assert torch.equal(Crops(16).view(line, PLAIN), expected)
    assert torch.equal(Crops(16).view(line.transpose(1, 0, 2), PLAIN), expected.transpose(0, 1))


def test_a_size_that_is_none():
    with pytest.raises(BadInput, match="--image-size is 0"):
        Crops(0)
