"""Small pictures of test images, where their data are at hand when a report is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.report.rows import ReportRow

if TYPE_CHECKING:
    from potstill.data import Data

KNOWN = frozenset({"digits", "cifar10", "cifar100"})
"""The data sets that are looked for. Folders are not: a run that a stranger made may name any, and what lies there
would get onto the page."""
BATCH = 1000


def thumbnails(row: ReportRow, labels: str, indices: Sequence[int]) -> dict[int, dict[str, Any]]:
    """``pixels`` and ``class`` of test images by their numbers; of none where they are not these or not here.

    Torch is taken only here, and only for a data set that can be had.

    Args:
        row: which was measured on them.
        labels: digest of the labels of all of them, see `potstill.runs.outcomes`.
        indices: their numbers.
    """
    arguments = row.runs[0].config["arguments"]
    if arguments.get("data") not in KNOWN or not indices:
        return {}
    try:
        from potstill.data import load
        from potstill.data.cifar import CIFAR10, CIFAR100, is_at_hand

        missing = [layout.name for layout in (CIFAR10, CIFAR100) if not is_at_hand(layout)]
        if arguments["data"] in missing:  # nothing is downloaded for a report
            return {}
        data = load(arguments["data"], test_images=arguments.get("test_images"), batch_size=BATCH, augment=False)
    except (BadInput, ImportError, OSError):  # a report is made where runs are: their data may be elsewhere
        return {}
    return _pixels(data, labels, indices)


def _pixels(data: "Data", labels: str, indices: Sequence[int]) -> dict[int, dict[str, Any]]:
    import torch

    from potstill.batch import as_batch
    from potstill.engine.details import digest_of
    from potstill.engine.pictures import pictures

    assert data.test is not None, "of data sets that come with the package, some images are for tests"
    batches = [as_batch(batch) for batch in data.test]
    known = torch.cat([batch["labels"] for batch in batches])
    if digest_of(known.cpu().numpy()) != labels:
        return {}
    images = torch.cat([batch["images"] for batch in batches])[list(indices)]
    return {
        i: {"pixels": pixels, "class": data.classes[int(known[i])]}
        for i, pixels in zip(indices, pictures(images, data), strict=True)
    }
