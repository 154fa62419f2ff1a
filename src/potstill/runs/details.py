"""What stands in ``details.json``: what learners answered to the test images in the end."""

from typing import NotRequired, TypedDict

from potstill.runs.outcomes import Outcomes, unpacked

ClassFound = TypedDict("ClassFound", {"class": str, "n": int, "correct": int, "chosen": int, "top1": float | None})
"""A class: its images, how many were taken for it rightly and how many of all were, and its accuracy in percent."""


class Bin(TypedDict):
    """The images whose chosen class had a probability above ``low`` and up to ``high``, in percent.

    ``confidence`` is the mean of those probabilities, ``top1`` how many were right, in percent; null if there are none.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    top1: float | None


class Details(TypedDict):
    """What a classifier answered to ``n`` images.

    ``confusion`` lists every cell that is not empty: [label, chosen, images]. ``ece`` is the expected calibration error
    in points, ``confidence`` the mean probability of the chosen class in percent, ``nll`` in nats.
    ``outcomes`` say which of the images it got right; earlier versions left none.
    """

    n: int
    top1: float
    nll: float
    confidence: float
    ece: float
    bins: list[Bin]
    classes: list[ClassFound]
    confusion: list[list[int]]
    outcomes: NotRequired[Outcomes]


def must_add_up(found: Details, name: str) -> None:
    """Refuse counts that are not those of as many images as it says.

    Raises:
        ValueError: they are not; the message calls the learner ``name``.
    """
    labels = range(len(found["classes"]))
    cells = [cell for cell in found["confusion"] if len(cell) != 3 or cell[0] not in labels or cell[1] not in labels]
    if cells or not all(cell[2] > 0 for cell in found["confusion"]):
        raise ValueError(f"{name}.confusion has cells that are none")
    counts = {
        "confusion": sum(cell[2] for cell in found["confusion"]),
        "classes": sum(one["n"] for one in found["classes"]),
        "bins": sum(one["n"] for one in found["bins"]),
    }
    for part, count in counts.items():
        if count != found["n"]:
            raise ValueError(f"{name}.{part} counts {count} images, not {found['n']}")
    if "outcomes" in found:
        right = sum(unpacked(found["outcomes"]["right"], found["n"]))
        if right != sum(one["correct"] for one in found["classes"]):
            raise ValueError(f"{name}.outcomes counts {right} images as right, and its classes others")
