"""Image files in one folder a class: ``CLASS/*``."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from potstill.data.files.encoded import EXTENSIONS, is_image
from potstill.data.files.hints import lead_on
from potstill.data.files.listed import Listed
from potstill.data.files.names import (
    TEST,
    TRAIN,
    is_litter,
    listed,
    looks,
    must_look_different,
    say_litter,
    split_named,
    split_word,
)
from potstill.errors import BadInput, nearest


class Folder(Listed):
    """The image files of a folder that holds one folder a class, in the order of classes and paths.

    ``notes`` are sentences about what was left out, and why.

    Args:
        root: the folder. Files may lie deeper inside a class's folder. Hidden ones are not looked at.
        classes: all names that a class may have; by default those of its folders, in alphabetical order.
        places: the folder in ``root`` of each class, if that is not its name.

    Raises:
        BadInput: no class, one class alone, a class that is not among ``classes``, one without images, folders that
            look like no classes, a folder that cannot be read.
    """

    def __init__(
        self, root: Path, classes: Sequence[str] | None = None, places: Mapping[str, str] | None = None
    ) -> None:
        self.notes: list[str] = []
        litter: list[str] = []
        found = places or {name: name for name in class_folders(root, litter)}
        if classes is None and len(found) == 1:
            raise BadInput(f"{root} holds one class alone; is {root / next(iter(found))} meant, or is one missing?")
        if not places:
            must_be_classes(root, list(found))
        must_look_different(found, str(root))
        numbers = self._numbers(root, found, classes)
        paths: list[str] = []
        labels: list[int] = []
        others: list[str] = []
        for name, place in found.items():
            files = list(files_in(root, place, litter))
            images = [file for file in files if is_image(file)]
            if not images:
                raise BadInput(f"{root / place} holds no image ({', '.join(EXTENSIONS)})")
            others += [file for file in files if not is_image(file)]
            paths += images
            labels += [numbers[name]] * len(images)
        if loose := [file.name for file in sorted(root.iterdir()) if is_image(file.name) and not is_litter(file.name)]:
            self.notes.append(
                f"{root}: {len(loose)} images lie in no class's folder and are left out: {listed(loose, 3)}"
            )
        self.notes += [f"{root}: {note}" for note in [*say_litter(litter), *left_out(others)]]
        super().__init__(root, paths, labels, tuple(found if classes is None else classes))

    def _numbers(self, root: Path, found: Mapping[str, str], classes: Sequence[str] | None) -> dict[str, int]:
        """The number of each class that is there."""
        known = {name: number for number, name in enumerate(found if classes is None else classes)}
        alike = {looks(name): name for name in known}
        for name in found:
            if name in known:
                continue
            if (same := alike.get(looks(name))) is None or same in found:
                near = nearest(name, known)
                hint = f"; did you mean {' or '.join(near)}?" if near else f" ({listed(list(known))})"
                raise BadInput(f"{root / name} is a class that the training images do not have{hint}")
            self.notes.append(f"{root / name} is spelled in other bytes than the training images' {same}; taken for it")
            known[name] = known[same]
        return known


def class_folders(root: Path, litter: list[str] | None = None) -> list[str]:
    """The names of the folders in ``root`` in alphabetical order, as `folders`; BadInput if there is none."""
    names = [folder.name for folder in folders(root, litter)]
    if not names:
        raise BadInput(f"{root} holds no folder for each class{lead_on(root)}")
    return names


def must_be_classes(root: Path, names: Sequence[str]) -> None:
    """Refuse folders that are something else than classes: splits, or whole data sets side by side.

    Raises:
        BadInput: by their names they are splits, or none holds an image itself and all hold the same folders.
    """
    words = [split_word(name) for name in names]
    way = "name them train/ and val/, or list the images with --labels FILE"
    if len(names) > 1 and all(words):
        raise BadInput(f"{listed(names)} in {root} look like splits, not like classes: {way}")
    below = {name: {folder.name for folder in folders(root / name)} for name in names if not _holds_images(root / name)}
    for name, inner in below.items():
        if split_named(dict.fromkeys(inner), TRAIN) and split_named(dict.fromkeys(inner), TEST):
            raise BadInput(
                f"{root / name} is no class: it holds splits ({listed(sorted(inner))}); is that folder meant?"
            )
    if len(below) < len(names) or len(names) == 1:
        return
    if {"train", "test"} <= set(words):
        pair = [name for name, word in zip(names, words, strict=True) if word]
        raise BadInput(f"{listed(pair)} in {root} look like splits, not like classes: {way}")
    same = sorted(set.intersection(*below.values()))
    if len(same) > 1 or any(map(split_word, same)):
        raise BadInput(
            f"{listed(names)} in {root} hold no images but the same folders ({listed(same)}), so they are no "
            f"classes: give one of them, such as {root / names[0]}; if they are splits, {way}"
        )


def folders(root: Path, litter: list[str] | None = None) -> list[Path]:
    """The folders in ``root``, sorted by name, without ``litter``, whose names are added to that."""
    try:
        found = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.name)
        if litter is not None:
            litter += sorted(path.name for path in root.iterdir() if is_litter(path.name))
    except OSError as error:
        raise _unreadable(error) from error
    return [path for path in found if not is_litter(path.name)]


def count_images(root: Path) -> int:
    """How many image files lie in a folder or below it."""
    count = 0
    for _, below, files in os.walk(root):
        below[:] = [inner for inner in below if not is_litter(inner)]
        count += sum(is_image(file) and not is_litter(file) for file in files)
    return count


def _holds_images(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(is_image(entry.name) and not is_litter(entry.name) for entry in entries)
    except OSError as error:
        raise _unreadable(error) from error


def files_in(root: Path, name: str, litter: list[str]) -> Iterator[str]:
    """Paths below ``root`` of all that lies in the folder ``name``, sorted; what is ``litter`` is added to that.

    Raises:
        BadInput: a folder cannot be read, or is a link to one that it lies in.
    """
    for folder, below, files in os.walk(root / name, onerror=_refuse, followlinks=True):
        litter += [inner for inner in [*below, *files] if is_litter(inner)]
        below[:] = sorted(inner for inner in below if not is_litter(inner))
        here = Path(folder)
        if here.is_symlink() and any(here.resolve() == outer.resolve() for outer in here.parents):
            raise BadInput(f"{here} is a link to a folder that it lies in itself")
        for file in sorted(files):
            if not is_litter(file):
                yield str((here / file).relative_to(root))


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> BadInput:
    return BadInput(f"the folder {error.filename} cannot be read: {error.strerror}")


def left_out(others: Sequence[str]) -> list[str]:
    """One sentence about the files that are no images, if there are any."""
    if not others:
        return []
    kinds = Counter(Path(file).suffix or "no suffix" for file in others)
    named = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(3))
    return [f"{len(others)} files are no images by their names and are left out: {named}; the first is {others[0]}"]
