"""Pictures that somebody names: files, and folders of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from potstill.data.files.decoding import PLAIN, Crops, Pixels
from potstill.data.files.encoded import EXTENSIONS, is_image
from potstill.data.files.folder import files_in
from potstill.data.files.listed import Listed
from potstill.data.files.reading import Reader
from potstill.data.files.views import Bad, Views
from potstill.data.files.workers import alive, first_thing
from potstill.errors import BadInput, nearest
from potstill.export.preparation import Preparation

BATCH = 64
FEW = 200
"""Pictures up to which to start processes takes longer than to look."""


class Pictures(Listed):
    """Files by their paths, which are called as somebody called them."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(Path(), paths, [0] * len(paths), ())

    def name(self, row: int) -> str:
        """The file's path."""
        return os.fsdecode(self.key(row))

    def batches(self, wanted: Preparation, workers: int) -> Iterator[tuple[Pixels, list[int], list[Bad]]]:
        """The pictures as a network sees them, before they are normalised: uint8 (B, side, side, 3), in their order.

        Args:
            wanted: how they are made.
            workers: processes that decode, if there are many.

        Returns:
            Batch by batch, the pixels of those that can be read, their rows, and the other rows with the reasons.
        """
        self.bits = wanted.bits
        rows = [(row, PLAIN) for row in range(len(self))]
        loader: DataLoader[object] = DataLoader(
            Views(Reader(self), Crops(wanted.side, wanted.shorter_side)),
            batch_sampler=[rows[start : start + BATCH] for start in range(0, len(rows), BATCH)],
            num_workers=workers if len(self) > FEW else 0,
            collate_fn=_as_it_is,
            worker_init_fn=first_thing(),
            generator=torch.Generator(),  # of the workers' seeds, which nothing uses; else the caller's are drawn
        )
        for made in alive(loader):
            if isinstance(made, BadInput):
                raise made
            pixels, items, bad = made
            yield pixels[: len(items)].numpy(), [row for row, _ in items], bad


def find_pictures(places: Sequence[Path]) -> Pictures:
    """The files among ``places``, whatever they are called, and the image files in and below the folders, sorted.

    Hidden files, and what systems leave in folders, are passed over.

    Raises:
        BadInput: there is no such file or folder, or no image in a folder.
    """
    if not places:
        raise BadInput("predict needs pictures: potstill predict RUN FILE.jpg, or a folder of them")
    found: list[str] = []
    for place in places:
        if not place.is_dir():
            if not os.path.lexists(place):
                raise _missing(place)
            found.append(str(place))
            continue
        images = [str(place / file) for file in files_in(place, "", []) if is_image(file)]
        if not images:
            raise BadInput(f"{place} holds no image ({', '.join(EXTENSIONS)})")
        found += images
    return Pictures(found)


def _missing(place: Path) -> BadInput:
    """The error for a path that leads nowhere, with the nearest that are there."""
    try:
        beside = [path.name for path in place.parent.iterdir()]
    except (OSError, ValueError):
        beside = []
    near = [str(place.parent / name) for name in nearest(place.name, beside)]
    return BadInput(f"no picture or folder {str(place)!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def _as_it_is(batch: object) -> object:
    return batch
