"""Image files in one folder a class: ``train/CLASS/*`` and ``val/CLASS/*``, or ``CLASS/*`` alone."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow
import torch

from potstill.data.files.encoded import EXTENSIONS
from potstill.errors import BadInput, nearest
from potstill.say import say

TRAIN, TEST = ("train", "training"), ("val", "valid", "validation", "test", "testing")
"""What the two splits' folders (in any case) and files may be called; the first that is there counts."""


class Folder:
    """The image files of a folder that holds one folder a class, in the order of classes and paths.

    Args:
        root: the folder. Files may lie deeper inside a class's folder. Hidden ones are not looked at.
        classes: all names that a class may have; by default those of its folders, in alphabetical order.

    Raises:
        BadInput: no class, one class alone, a class that is not among ``classes``, one without images, a folder that
            cannot be read.
    """

    def __init__(self, root: Path, classes: Sequence[str] | None = None) -> None:
        self.root = root
        found = class_folders(root)
        if classes is None and len(found) == 1:
            raise BadInput(f"{root} holds one class alone; is {root / found[0]} meant, or is one missing?")
        self.classes = tuple(found if classes is None else classes)
        numbers = {name: number for number, name in enumerate(self.classes)}
        paths: list[str] = []
        labels: list[int] = []
        others: list[str] = []
        for name in found:
            if name not in numbers:
                near = nearest(name, numbers)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                raise BadInput(f"{root / name} is a class that the training images do not have{hint}")
            files = list(_files(root, name))
            images = [file for file in files if file.lower().endswith(EXTENSIONS)]
            if not images:
                raise BadInput(f"{root / name} holds no image ({', '.join(EXTENSIONS)})")
            others += [file for file in files if not file.lower().endswith(EXTENSIONS)]
            paths += images
            labels += [numbers[name]] * len(images)
        if others:
            say(f"{root}: {_left_out(others)}")
        # One block of memory: Python's strings would be copied into every worker process, a page at a time.
        # Bytes: a name need not be valid UTF-8.
        self.paths = pyarrow.array(map(os.fsencode, paths), pyarrow.large_binary())
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> bytes:
        """The file's content."""
        return Path(self.name(row)).read_bytes()

    def name(self, row: int) -> str:
        """The file's path."""
        return os.fsdecode(os.fsencode(self.root) + b"/" + self.paths[row].as_py())

    def stamp(self) -> str:
        """Paths, sizes and modification times of all files; of a link to nothing, that it is one."""
        digest = sha256(os.fsencode(self.root.resolve()))
        for row, path in enumerate(self.paths.to_pylist()):
            digest.update(path + f"\0{_state(self.name(row))}\n".encode())
        return digest.hexdigest()


def class_folders(root: Path) -> list[str]:
    """The names of the folders in ``root`` in alphabetical order; BadInput if there is none."""
    names = [folder.name for folder in _folders(root) if not folder.name.startswith(".")]
    if not names:
        flat = next((f"; {file.name} has to lie in it" for file in sorted(root.iterdir())), "")
        raise BadInput(f"{root} holds no folder for each class{flat}")
    return names


def split_folders(root: Path) -> tuple[Path, Path | None]:
    """The folders of the training and of the test images; None if there is no split: ``root`` has both."""
    folders = {folder.name.lower(): folder for folder in _folders(root)}  # of train and Train, the last in order: train
    train, test = (next((folders[name] for name in names if name in folders), None) for names in (TRAIN, TEST))
    if train is None and test is not None:
        raise BadInput(f"{root} has {test.name}/ but no train/")
    return (root, None) if train is None else (train, test)


def _files(root: Path, name: str) -> Iterator[str]:
    """Paths below ``root`` of all that lies in the folder ``name``, sorted."""
    for folder, folders, files in os.walk(root / name, onerror=_refuse, followlinks=True):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        here = Path(folder)
        if here.is_symlink() and here.parent.resolve().is_relative_to(here.resolve()):
            raise BadInput(f"{here} is a link to a folder that it lies in itself")
        for file in sorted(files):
            if not file.startswith("."):
                yield str((here / file).relative_to(root))


def _folders(root: Path) -> list[Path]:
    """The folders in ``root``, sorted by name."""
    try:
        return sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.name)
    except OSError as error:
        raise _unreadable(error) from error


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> BadInput:
    return BadInput(f"the folder {error.filename} cannot be read: {error.strerror}")


def _state(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError as error:  # whoever reads the image will say so
        return str(error.errno)
    return f"{status.st_size}\0{status.st_mtime_ns}"


def _left_out(others: Sequence[str]) -> str:
    kinds = Counter(Path(file).suffix or "no suffix" for file in others)
    listed = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(3))
    return f"{len(others)} files are no images by their names and are left out: {listed}; the first is {others[0]}"
