"""Which test images a network got right, one by one: a bit an image."""

from base64 import b64decode, b64encode
from typing import TypedDict


class Outcomes(TypedDict):
    """A bit an image, in the order of the test images, and a digest of their labels in that order.

    ``right`` is base64 of the bits, eight a byte, the first image in the highest; those after the last image are 0.
    Outcomes of equal ``labels`` are of the same images, as far as labels tell: a loader that shuffles its test images
    has others in each run.
    """

    labels: str
    right: str


def packed(right: list[bool]) -> str:
    """The bits of `Outcomes`.

    >>> packed([True, False, True])
    'oA=='
    """
    text = "".join("01"[one] for one in right)
    rows = [text[start : start + 8].ljust(8, "0") for start in range(0, len(text), 8)]
    return b64encode(bytes(int(row, 2) for row in rows)).decode()


def unpacked(bits: str, count: int) -> list[bool]:
    """The same as a truth value for each of ``count`` images.

    Raises:
        ValueError: these are not the bits of so many images.

    >>> unpacked("oA==", 3)
    [True, False, True]
    """
    content = b64decode(bits, validate=True)
    text = "".join(f"{byte:08b}" for byte in content)
    if len(content) != -(-count // 8) or "1" in text[count:]:
        raise ValueError(f"the bits are not those of {count} images")
    return [bit == "1" for bit in text[:count]]
