"""From the bytes of an image file to pixels, and from pixels to the crop that a network sees."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageFile
from torch import Tensor

from potstill.data.pictures import opened, without_texts
from potstill.errors import BadInput, first_line

Pixels = NDArray[np.uint8]
PLAIN = 0
"""The view that is not augmented."""
EVALUATED = 0.875
"""The side of the evaluated crop, as a part of the image's shorter side; the usual 224 of 256."""
FULL = 16
"""Bits of the deepest images; of those the upper 8 are seen."""
SWAPPED = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
"""Pillow's names for colours of 16 bits, and for those with their bytes swapped."""
LONGEST = 64
"""Times its shorter side that an image keeps of its longer one before it is scaled: 1 x 5000 would fill a gigabyte."""


class BadImage(ValueError):
    """An image that cannot be read; the message says why."""


def decode(content: bytes, bits: int = FULL) -> Pixels:
    """The pixels (H, W, 3) of an image file, as they lie in it: a camera's note on orientation is not followed.

    So do torchvision and timm, with which most teachers were trained.

    Args:
        content: the file's.
        bits: how many of a 16-bit image's bits are used, the lower ones: the upper 8 of those are taken.

    Raises:
        BadImage: the file is no image, damaged or far too large, or its pixels are 32-bit numbers.
    """
    try:
        try:
            return _pixels(content, bits)
        except ValueError as error:
            if "PngImagePlugin.MAX_TEXT" not in str(error) and "MAX_TEXT_MEMORY" not in str(error):
                raise
            return _pixels(without_texts(content), bits)
    except Exception as error:  # the decoders raise whatever a damaged file makes them stumble over
        reason = first_line(error).replace(" <_io.BytesIO object", "").split(" at 0x")[0]
        raise BadImage(reason or type(error).__name__) from error


class Crops:
    """The usual augmentation of ImageNet, and the usual crop for evaluation, of ``size`` x ``size`` pixels.

    A *view* is a number: 0 is the centre of the image scaled to a shorter side of ``size / 0.875``; any other one is
    the seed of a random crop (8 to 100 % of the area, sides 3:4 to 4:3) scaled to ``size``, every other one mirrored.
    So a view of an image is always the same pixels, whichever process makes it.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6, https://arxiv.org/abs/1409.4842, as
    torchvision's RandomResizedCrop and its training scripts have it. Bilinear, antialiased.

    Args:
        size: side of a crop in pixels.
        shorter_side: of the image before its centre is cut, where that is not ``size / 0.875``.

    Raises:
        BadInput: torchvision is not installed.
    """

    def __init__(self, size: int, shorter_side: int | None = None) -> None:
        if size < 1:
            raise BadInput(f"--image-size is {size}, but must be positive")
        self.size = size
        self.shorter_side = evaluated_from(size) if shorter_side is None else shorter_side
        self.random_crop = _transforms().RandomResizedCrop(size)

    def view(self, pixels: Pixels, view: int) -> Tensor:
        """That view of an image's pixels (H, W, 3): uint8 (size, size, 3). Uses torch's global random state."""
        functional = _transforms().functional
        if view == PLAIN:
            shrunk = torch.from_numpy(self.shrunk(pixels)).permute(2, 0, 1)
            plain: Tensor = functional.center_crop(shrunk, [self.size, self.size])
            return plain.permute(1, 2, 0)
        torch.default_generator.manual_seed(view)
        place = self.random_crop.make_params([torch.from_numpy(pixels).permute(2, 0, 1)])
        top, left, height, width = (place[name] for name in ("top", "left", "height", "width"))
        crop = _resized(pixels[top : top + height, left : left + width], (self.size, self.size))
        return crop.flip(1) if torch.rand(()) < 0.5 else crop

    def shrunk(self, pixels: Pixels) -> Pixels:
        """Pixels (H, W, 3) scaled to the shorter side that evaluation wants: what a cache keeps."""
        pixels = _not_too_long(pixels)
        if min(pixels.shape[:2]) == self.shorter_side:
            return pixels
        return _resized(pixels, (self.shorter_side,)).contiguous().numpy()


def evaluated_from(size: int) -> int:
    """The shorter side of an image of which a crop of ``size`` pixels is evaluated.

    >>> evaluated_from(224)
    256
    """
    return round(size / EVALUATED)


def deep_values(content: bytes, picture: ImageFile.ImageFile) -> NDArray[np.uint16] | None:
    """The values (H, W) or (H, W, 3) of an image of 16 bits; None of any other.

    Pillow gives the upper 8 bits of coloured ones, and the lower ones to who tells it that they come first. It can do
    so in a PNG.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM"):  # a PGM's are of mode I
        values: NDArray[np.uint16] = np.array(picture).astype(np.uint16)
        return values
    swapped = SWAPPED.get(str(picture.tile[0].args)) if picture.format == "PNG" and picture.tile else None
    if swapped is None:
        return None
    with opened(content) as other:
        other.tile = [tile._replace(args=swapped) for tile in other.tile]
        upper, lower = (np.array(image)[..., :3].astype(np.uint16) for image in (picture, other))
    return (upper << 8 | lower).astype(np.uint16)


def _pixels(content: bytes, bits: int) -> Pixels:
    with opened(content) as picture:
        if bits < FULL and (values := deep_values(content, picture)) is not None:
            pixels = np.minimum(values >> (bits - 8), 255).astype(np.uint8)
            return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        return np.array(picture) if picture.mode == "RGB" else _rgb(content, picture)


def _rgb(content: bytes, picture: ImageFile.ImageFile) -> Pixels:
    """The pixels (H, W, 3) of an image of any mode."""
    # Pillow makes white of all above 255, which is nearly all of an image of 16 bits.
    if picture.mode.startswith("I") and (values := deep_values(content, picture)) is not None:
        return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise BadImage(f"its pixels are 32-bit numbers (mode {picture.mode}), and nothing says which of them is white")
    if "transparency" in picture.info:  # the same colours; without it Pillow warns, in every worker
        return np.array(picture.convert("RGBA").convert("RGB"))
    return np.array(picture.convert("RGB"))


def _not_too_long(pixels: Pixels) -> Pixels:
    """Without the ends of an image (H, W, 3) that is far longer than wide; its middle stays its middle."""
    cut = [max(0, side - LONGEST * min(pixels.shape[:2])) // 2 for side in pixels.shape[:2]]
    return pixels[cut[0] : pixels.shape[0] - cut[0], cut[1] : pixels.shape[1] - cut[1]]


def _resized(pixels: Pixels, size: tuple[int, ...]) -> Tensor:
    """Pixels (H, W, 3) at another size; channels last, so that nothing is put into another order."""
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    resized: Tensor = _transforms().functional.resize(image, list(size))
    return resized[0].permute(1, 2, 0)


def _transforms() -> Any:
    try:
        return import_module("torchvision.transforms.v2")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise BadInput("images in files need torchvision: pip install potstill[models]") from error
