"""Images of which nobody says the classes: all that lie in a folder of any shape, or in Parquet."""

from collections.abc import Mapping
from pathlib import Path

from potstill.data.files.encoded import EXTENSIONS, is_image
from potstill.data.files.folder import count_images, files_in, folders, left_out
from potstill.data.files.hub import read_hub
from potstill.data.files.listed import Listed
from potstill.data.files.lists import choose_test
from potstill.data.files.names import TRAIN, say_litter, split_named
from potstill.data.files.saved import find_saved
from potstill.data.files.shards import find_shards
from potstill.data.files.taken import Taken
from potstill.data.images import NO_LABEL
from potstill.errors import BadInput
from potstill.selection import Place


def read_unlabelled(root: Path, how: Place) -> Taken:
    """The images in a folder and in all folders below it, in the order of their paths; or those of Parquet files.

    Where there are both, ``train`` and the split that is measured (``val``, ``test``, ...) stay two splits.

    Raises:
        BadInput: no image; labels are asked for, or a split that is not there.
    """
    for flag, value in {"labels": how.labels, "label-column": how.label_column}.items():
        if value is not None:
            raise BadInput(f"--{flag} {value} says where labels are, and --unlabelled that there are none: give one")
    if (shards := find_saved(root) or find_shards(root)) is not None:
        return read_hub(root, shards, how)
    if how.image_column is not None:
        raise BadInput(f"--image-column {how.image_column} is for Parquet; {root} holds none")
    notes: list[str] = []
    train, test = _splits(root, how, notes)
    sources = [
        _images_in(folder, notes) for folder in ([root / train] if test is None else [root / train, root / test])
    ]
    return Taken((), sources[0], sources[1] if test is not None else None, notes, (train, test))


def _splits(root: Path, how: Place, notes: list[str]) -> tuple[str, str | None]:
    """The folders to train on and to measure; "" and None: all of it is one set."""
    found: Mapping[str, Path] = {folder.name: folder for folder in folders(root)}
    train = split_named(found, TRAIN)
    if train is None:
        if how.test_split is not None:
            raise BadInput(f"--test-split {how.test_split}: {root} has no train/ and so no splits")
        return "", None
    test = choose_test([name for name in found if name != train[0]], how, train[0], str(root))
    for name, folder in found.items():
        if test is not None and name not in (train[0], test) and (count := count_images(folder)):
            notes.append(f"{folder} ({count} images) is not looked at; --test-split chooses")
    return ("", None) if test is None else (train[0], test)


def _images_in(folder: Path, notes: list[str]) -> Listed:
    litter: list[str] = []
    files = list(files_in(folder, "", litter))
    images = [file for file in files if is_image(file)]
    if not images:
        raise BadInput(f"{folder} holds no image ({', '.join(EXTENSIONS)}), nor does any folder below it")
    others = [file for file in files if not is_image(file)]
    notes += [f"{folder}: {note}" for note in [*say_litter(litter), *left_out(others)]]
    return Listed(folder, images, [NO_LABEL] * len(images), ())
