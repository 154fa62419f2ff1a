"""By which mean and standard deviation images are normalised: a network must see what it was trained on."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from potstill.errors import BadInput, unknown

Triple = tuple[float, float, float]
Statistics = tuple[Triple, Triple]  # mean and standard deviation of red, green and blue, for pixels in 0..1

STATISTICS: dict[str, Statistics] = {
    # The training sets' own, over all pixels; tests compute them again from the images.
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "digits": ((0.3070, 0.3070, 0.3070), (0.3762, 0.3762, 0.3762)),
    # torchvision's and most published ImageNet networks.
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Wide ResNets' CIFAR code, after which Rocket Launching was written.
    "rocket": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
    # RepDistiller, https://github.com/HobbitLong/RepDistiller (CRD's code), for CIFAR-100.
    "crd": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    # https://github.com/chenyaofo/pytorch-cifar-models, for CIFAR-100.
    "chenyaofo": ((0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
}


AT_ONCE = 2**18  # values: a megabyte


def statistics(text: str) -> Statistics:
    """Mean and standard deviation by name, or from six numbers "m1 m2 m3 s1 s2 s3" with spaces or commas.

    Raises:
        BadInput: an unknown name, another count of numbers, or a deviation that is not positive.

    >>> statistics("0.5 0.5 0.5, 0.25 0.25 0.25")
    ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    """
    if text in STATISTICS:
        return STATISTICS[text]
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise unknown("normalization", text, [*STATISTICS, "six numbers"]) from None
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)) or min(numbers[3:]) <= 0:
        raise BadInput(f"normalization {text!r} is not a name, nor three means and three deviations above 0")
    m1, m2, m3, s1, s2, s3 = numbers
    return (m1, m2, m3), (s1, s2, s3)


class Standardize:
    """Maps pixels (B, H, W, C), uint8, to images (B, C, H, W), float32 in channels_last: ``(x / 255 - mean) / std``.

    One number for every value of an image: broadcasting over three channels would be several times slower. On a CPU a
    few images at a time, which stay in its cache until they are done.
    """

    def __init__(
        self, size: Sequence[int], mean: Sequence[float], std: Sequence[float], device: torch.device | str
    ) -> None:
        height, width, channels = size
        wide_mean, wide_std = (255 * torch.tensor(values, dtype=torch.float64) for values in (mean, std))
        self._mean = wide_mean.float().repeat(height, width, 1).to(device)
        self._inverse_std = wide_std.reciprocal().float().repeat(height, width, 1).to(device)
        self._at_once = max(1, AT_ONCE // (height * width * channels))

    def __call__(self, pixels: Tensor) -> Tensor:
        """The images of these pixels."""
        shape, on_cpu = pixels.shape, pixels.device.type == "cpu"
        # numpy asks the system for huge pages. In small ones, to get the memory takes longer than to fill it.
        images = torch.from_numpy(np.empty(shape, np.float32)) if on_cpu else torch.empty(shape, device=pixels.device)
        at_once = self._at_once if on_cpu else len(pixels)
        for start in range(0, len(images), at_once):
            some = images[start : start + at_once]
            # Subtract, then multiply: unlike a multiply-add, no device can fuse and round it differently.
            some.copy_(pixels[start : start + at_once]).sub_(self._mean).mul_(self._inverse_std)
        return images.permute(0, 3, 1, 2)
