"""Which layout a folder of images has."""

from pathlib import Path

from potstill.data.files.encoded import is_image
from potstill.data.files.folder import Folder, class_folders, count_images, folders
from potstill.data.files.hub import read_hub
from potstill.data.files.labels import ANNOTATIONS
from potstill.data.files.listed import Listed
from potstill.data.files.lists import choose_test, read_labels, tiny_imagenet
from potstill.data.files.names import TEST, TRAIN, say_litter, split_named
from potstill.data.files.saved import find_saved
from potstill.data.files.shards import find_shards
from potstill.data.files.taken import Taken
from potstill.data.files.unlabelled import read_unlabelled
from potstill.errors import BadInput
from potstill.selection import Place


def take(root: Path, how: Place) -> Taken:
    """Training and test images of a folder, in any layout that is read.

    Raises:
        BadInput: it holds none, or contradicts itself.
    """
    if how.unlabelled:
        return read_unlabelled(root, how)
    if how.labels is not None:
        return read_labels(root, how)
    if (shards := find_saved(root) or find_shards(root)) is not None:
        return read_hub(root, shards, how)
    of_tables = ("image_column", "label_column", "label_separator")
    for flag, value in {name.replace("_", "-"): getattr(how, name) for name in of_tables}.items():
        if value is not None:
            raise BadInput(f"--{flag} {value} is for Parquet or with --labels; {root} holds neither")
    return _folders(root, how)


def class_names(root: Path, how: Place) -> tuple[str, ...]:
    """The names of the classes in a folder, without looking at every image where they are folders."""
    if how.unlabelled:
        return ()
    if how.labels is not None or find_saved(root) is not None or find_shards(root) is not None:
        return take(root, how).classes
    split = _split_folders(root, [])
    return tuple(class_folders(root if split is None else split[0]))


def _folders(root: Path, how: Place) -> Taken:
    litter: list[str] = []
    split = _split_folders(root, litter)
    notes = [f"{root}: {note}" for note in say_litter(litter)]
    if split is not None:
        train, others = split
        return _trained_and_measured(root, how, train, others, notes)
    inside = _splits_in_classes(root)
    if inside is not None:
        return _inside(root, how, inside, notes)
    if how.test_split is not None:
        raise BadInput(f"--test-split {how.test_split}: {root} has no train/ and so no splits")
    alone = Folder(root)
    return Taken(alone.classes, alone, None, alone.notes, ("CLASS", None))


def _split_folders(root: Path, litter: list[str]) -> tuple[Path, dict[str, Path]] | None:
    """The folder of the training images, and the others beside it; None if there is no split."""
    found = {folder.name: folder for folder in folders(root, litter)}
    train, test = split_named(found, TRAIN), split_named(found, TEST)
    if train is None and test is None:
        return None
    beside = {name: folder for name, folder in found.items() if train is None or name != train[0]}
    if train is not None and test is None and beside and not folders(train[1]) and all(map(_is_class, found.values())):
        return None  # a class that is called train, among others
    if train is None:
        assert test is not None, "one of the two is there"
        if len(found) > 1 and all(map(_is_class, found.values())):
            return None
        raise BadInput(f"{root} has {test[0]}/ but no train/")
    return train[1], beside


def _is_class(folder: Path) -> bool:
    return any(is_image(path.name) for path in folder.iterdir())


def _trained_and_measured(root: Path, how: Place, train: Path, beside: dict[str, Path], notes: list[str]) -> Taken:
    trained = Folder(train)
    notes += trained.notes
    labelled = {name: folder for name, folder in beside.items() if _has_classes(folder)}
    name = choose_test(labelled, how, train.name, str(root))
    test: Listed | None = None
    if name is not None:
        test = tiny_imagenet(labelled[name], trained.classes)
        if test is None:
            test = Folder(labelled[name], trained.classes)
            notes += test.notes
    for other, folder in beside.items():
        if other == name or not (count := count_images(folder)):
            continue
        why = "is not looked at; --test-split chooses" if other in labelled else "has no labels and is left out"
        notes.append(f"{folder} ({count} images) {why}")
    return Taken(trained.classes, trained, test, notes, (train.name, name))


def _has_classes(folder: Path) -> bool:
    """Whether a split's images have labels: they lie in folders, or an annotations' file lists them."""
    if (folder / ANNOTATIONS).is_file():
        return True
    inner = folders(folder)
    return bool(inner) and [path.name.lower() for path in inner] != ["images"]


def _splits_in_classes(root: Path) -> dict[str, dict[str, Path]] | None:
    """Of CLASS/train/* and CLASS/test/*, the folders in every class's; None where there are no such."""
    inside = {}
    for name in class_folders(root):
        inner = {folder.name: folder for folder in folders(root / name)}
        if _is_class(root / name) or split_named(inner, TRAIN) is None:
            return None
        if any(folders(folder) for folder in inner.values()):
            return None  # whole sets side by side
        inside[name] = inner
    return inside if len(inside) > 1 else None


def _inside(root: Path, how: Place, inside: dict[str, dict[str, Path]], notes: list[str]) -> Taken:
    common = [name for name in next(iter(inside.values())) if all(name in inner for inner in inside.values())]
    train = split_named(dict.fromkeys(common), TRAIN)
    if train is None:
        raise BadInput(f"the classes in {root} do not all hold a folder of the same name for training")
    test = choose_test([name for name in common if name != train[0]], how, train[0], str(root))
    notes.append(f"{root}: every class holds its splits ({', '.join(common)})")
    trained = Folder(root, places={name: f"{name}/{train[0]}" for name in inside})
    notes += trained.notes
    measured = None
    if test is not None:
        measured = Folder(root, trained.classes, {name: f"{name}/{test}" for name in inside})
        notes += measured.notes
    for inner in inside.values():
        for other, folder in inner.items():
            if other not in (train[0], test) and (count := count_images(folder)):
                notes.append(
                    f"{folder} ({count} images) is not looked at; --test-split chooses among {', '.join(common)}"
                )
    return Taken(trained.classes, trained, measured, notes, (f"CLASS/{train[0]}", test and f"CLASS/{test}"))
