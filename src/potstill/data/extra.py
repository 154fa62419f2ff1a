"""Images without labels beside those of a data set: ``--extra DIR``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from potstill.cores import cores
from potstill.data.beside import Beside
from potstill.data.data import Data
from potstill.data.files.depth import find_depth
from potstill.data.files.image_loader import ImageLoader
from potstill.data.files.unlabelled import read_unlabelled
from potstill.data.identity import of_files
from potstill.data.loader import Loader
from potstill.data.seeds import EXTRA, seed_of
from potstill.errors import BadInput
from potstill.say import say
from potstill.selection import Place, Selection


def with_extra(data: Data, folder: Path, selected: Selection, augment: bool, shared: dict[str, Any]) -> Data:
    """The data, with images of a folder beside the training images in every batch, of the same size and normalisation.

    Args:
        data: labelled.
        folder: of any shape; of its splits, the one to train on.
        selected: how many a step, and how they are read.
        augment: a random crop of each, or the plain one.
        shared: batch size, seed and device.

    Raises:
        BadInput: no image there; the data have no labels themselves.
    """
    train = data.train
    if selected.unlabelled:
        raise BadInput("--extra adds images without labels to labelled ones, and with --unlabelled none has any")
    assert isinstance(train, Loader | ImageLoader), "data.load gives these"
    assert data.mean is not None, "and knows how they are normalised"
    assert data.std is not None
    taken = read_unlabelled(folder, Place(unlabelled=True))
    notes = list(taken.notes)
    images = taken.train
    images.bits = find_depth(images, notes)
    for note in [*notes, f"extra {folder}: {len(images)} images without labels"]:
        say(note)
    others = ImageLoader(
        images,
        selected.extra_batch or shared["batch_size"],
        size=data.shape[-1],
        mean=data.mean,
        std=data.std,
        shuffle=True,
        augment=augment,
        seed=seed_of(shared["seed"], EXTRA),
        device=shared["device"],
        workers=cores() if selected.workers is None else selected.workers,
        cache=selected.cache,
        on_bad_image=selected.on_bad_image,
        views=selected.views,
    )
    identity = of_files({"extra": images}, (), selected.data_digest)
    return replace(data, train=Beside(train, others), identity=_both(data.identity, identity))


def _both(one: Callable[[], str] | None, other: Callable[[], str]) -> Callable[[], str]:
    assert one is not None, "data.load knows its images"
    return lambda: f"{one()}, beside {other()}"
