"""From the bytes of an image file to pixels, and from pixels to the crop that a network sees."""

import io
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from potstill.errors import BadInput

Pixels = NDArray[np.uint8]
PLAIN = 0
"""The view that is not augmented."""
EVALUATED = 0.875
"""The side of the evaluated crop, as a part of the image's shorter side; the usual 224 of 256."""


class BadImage(ValueError):
    """An image that cannot be read; the message says why."""


def decode(content: bytes) -> Pixels:
    """The pixels (H, W, 3) of an image file, as they lie in it: a camera's note on orientation is not followed.

    So do torchvision and timm, with which most teachers were trained.

    Raises:
        BadImage: the file is no image, damaged or far too large.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except Exception as error:  # the decoders raise whatever a damaged file makes them stumble over
        reason = str(error).partition("\n")[0].replace(" <_io.BytesIO object", "").split(" at 0x")[0]
        raise BadImage(reason or type(error).__name__) from error


class Crops:
    """The usual augmentation of ImageNet, and the usual crop for evaluation, of ``size`` x ``size`` pixels.

    A *view* is a number: 0 is the centre of the image scaled to a shorter side of ``size / 0.875``; any other one is
    the seed of a random crop (8 to 100 % of the area, sides 3:4 to 4:3) scaled to ``size``, every other one mirrored.
    So a view of an image is always the same pixels, whichever process makes it.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6, https://arxiv.org/abs/1409.4842, as
    torchvision's RandomResizedCrop and its training scripts have it. Bilinear, antialiased.

    Raises:
        BadInput: torchvision is not installed.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise BadInput(f"--image-size is {size}, but must be positive")
        self.size = size
        self.shorter_side = round(size / EVALUATED)
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
        if min(pixels.shape[:2]) == self.shorter_side:
            return pixels
        return _resized(pixels, (self.shorter_side,)).contiguous().numpy()


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
        raise BadInput("image folders need torchvision: pip install potstill[models]") from error
