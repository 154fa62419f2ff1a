"""By which mean and standard deviation images are normalised: a network must see what it was trained on."""

import math

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


def statistics(text: str) -> Statistics:
    """Mean and standard deviation by name, or from six numbers "m1 m2 m3 s1 s2 s3" with spaces or commas.

    Errors: BadInput for an unknown name, another count of numbers, or a deviation that is not positive.

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
