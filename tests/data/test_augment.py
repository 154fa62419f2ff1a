"""The batched augmentation against one that takes each image by itself, in plain numpy."""

import numpy as np
import pytest
import torch

from potstill.data import Augment, ImageSet, Loader
from potstill.errors import BadInput

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def random_set(count: int, height: int, width: int) -> ImageSet:
    generator = torch.Generator().manual_seed(7)
    images = torch.randint(256, (count, height, width, 3), dtype=torch.uint8, generator=generator)
    return ImageSet(images, torch.arange(count) % 10)


def slow_view(image: np.ndarray, augment: Augment, view: int) -> np.ndarray:
    """One view of one uint8 image (H, W, C), normalised in float64, as (C, H, W)."""
    height, width, _ = image.shape
    dy, rest = divmod(view, 2 * (2 * augment.pad + 1))
    dx, mirrored = divmod(rest, 2)
    mode = "constant" if augment.border == "zero" else "reflect"
    framed = np.pad(image, ((augment.pad, augment.pad), (augment.pad, augment.pad), (0, 0)), mode=mode)
    crop = framed[dy : dy + height, dx : dx + width]
    crop = crop[:, ::-1] if mirrored else crop
    return ((crop / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(2, 0, 1)


def assert_same(images: torch.Tensor, expected: np.ndarray) -> None:
    # Values reach about 2.3; float32 rounds the subtraction and the product once each, and the two constants.
    np.testing.assert_allclose(images.double().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("border", ["zero", "reflect"])
@pytest.mark.parametrize(("height", "width", "pad", "flip"), [(32, 32, 4, True), (7, 5, 2, True), (8, 8, 1, False)])
def test_every_batch_equals_the_slow_version(border, height, width, pad, flip):
    image_set = random_set(70, height, width)
    augment = Augment(pad, flip, border)
    seen = 0
    for batch in Loader(image_set, 32, mean=MEAN, std=STD, augment=augment, seed=3):
        pairs = zip(batch["index"].tolist(), batch["view"].tolist(), strict=True)
        expected = np.stack([slow_view(image_set.images[index].numpy(), augment, view) for index, view in pairs])
        assert_same(batch["images"], expected)
        assert torch.equal(batch["labels"], image_set.labels[batch["index"]])
        assert batch["images"].is_contiguous(memory_format=torch.channels_last)
        seen += len(expected)
    assert seen == 70


def test_the_slow_version_is_pillows_crop_and_mirror():
    from PIL import Image, ImageOps

    image = random_set(1, 9, 6).images[0].numpy()
    framed = ImageOps.expand(Image.fromarray(image), border=2, fill=0)
    cropped = ImageOps.mirror(framed.crop((3, 1, 3 + 6, 1 + 9)))  # left, upper, right, lower: dx 3, dy 1
    expected = (np.asarray(cropped) / 255.0 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_array_equal(slow_view(image, Augment(2), (1 * 5 + 3) * 2 + 1), expected.transpose(2, 0, 1))


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_any_view_of_any_image_can_be_had(border):
    image_set, augment = random_set(3, 32, 32), Augment(4, True, border)
    loader = Loader(image_set, 32, mean=MEAN, std=STD, augment=augment)
    index, view = torch.full((162,), 2), torch.arange(162)
    expected = np.stack([slow_view(image_set.images[2].numpy(), augment, number) for number in range(162)])
    assert len(np.unique(expected, axis=0)) == 162
    assert_same(loader.images(index, view), expected)


def test_all_162_views_are_drawn_about_equally_often():
    views = Augment(4).draw(162_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(views, minlength=162)
    assert len(counts) == 162
    # Each count is binomial with mean 1000 and standard deviation 32: five of them, for 162 counts.
    assert counts.min() > 840
    assert counts.max() < 1160


def test_without_flips_no_view_is_mirrored():
    views = Augment(1, flip=False).draw(1000, torch.Generator().manual_seed(0))
    assert views.unique().tolist() == list(range(0, 18, 2))


def test_the_plain_view_is_the_image():
    augment = Augment(4)
    assert augment.plain == 80
    image_set = random_set(4, 32, 32)
    loader = Loader(image_set, 4, mean=(0, 0, 0), std=(1 / 255,) * 3, augment=augment)
    images = loader.images(torch.arange(4), torch.full((4,), augment.plain))
    torch.testing.assert_close(images, image_set.images.permute(0, 3, 1, 2).float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augment(pad=-1), "pad is -1"),
        (lambda: Augment(border="reflct"), "unknown border 'reflct'; did you mean reflect"),
        (lambda: Augment(8, border="reflect").padded(random_set(1, 8, 8).images), "pad 8 is too large to reflect"),
    ],
)
def test_bad_augmentations(make, message):
    with pytest.raises(BadInput, match=message):
        make()
