"""Looking at a whole data set before anything is trained on it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potstill.cores import cores
from potstill.data.duplicates import Group, find_duplicates
from potstill.data.files import facts as looking
from potstill.data.files.facts import Facts
from potstill.data.files.image_files import ImageFiles, describe, find_images
from potstill.data.files.names import listed
from potstill.data.label_names import class_counts, label_name
from potstill.data.load import DATASETS, folder_of
from potstill.errors import BadInput
from potstill.selection import Reading

STOPS, WARNING, NOTE = "stops a run", "warning", "note"
SMALL, LONG = 32, 10
"""Pixels of a shorter side, and times that of a longer one, from which on an image is odd."""
MEMBERS = 10
"""Equal images that are named; of more, how many there are."""

Finding = dict[str, str]
Checked = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """The images of a split: which rows of all, and what they are called."""

    name: str
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """All images of a data set, those of its splits after one another, and what is known of them."""

    classes: tuple[str, ...]
    labels: NDArray[np.int64] | NDArray[np.float32]
    facts: Facts
    name: Callable[[int], str]
    splits: tuple[Split, ...]
    findings: list[Finding] = field(default_factory=list)

    def tell(self, level: str, kind: str, where: str, what: str) -> None:
        """Add a finding."""
        self.findings.append(finding(level, kind, where, what))


def check(name: str, reading: Reading) -> Checked:
    """What a data set holds and what is wrong with it; see the command ``potstill check``.

    Raises:
        BadInput: there is no such data set or folder.
    """
    if name in DATASETS:
        images = _in_memory(name, reading)
        train, test = (len(split.rows) for split in images.splits)
        said = describe(name, images.classes, train, test)
    else:
        root = folder_of(name, reading)
        try:
            files = find_images(root, reading)
            images, said = _in_files(files, reading), files.summary(name)
        except BadInput as error:
            stops = finding(STOPS, "data", str(root), str(error))
            return {"data": name, "findings": [stops], "wrong": [printable(str(error))]}
    _broken(images, reading)
    _sizes(images)
    _classes(images)
    _duplicates(images)
    wrong = [f"{found['where']} {found['what']}" for found in images.findings if found["finding"] == STOPS]
    table = _table(images)
    return {
        "data": name,
        "taken for": printable(said),
        "classes": len(images.classes),
        "table": table,
        "splits": [_split(images, split) for split in images.splits],
        "findings": images.findings,
        "wrong": wrong,
    }


def finding(level: str, kind: str, where: str, what: str) -> Finding:
    """One row of what was found."""
    return {"finding": level, "kind": kind, "where": printable(where), "what": printable(what)}


def printable(text: str) -> str:
    """Text of which every character can be written: a file's name need not be valid UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _in_memory(name: str, reading: Reading) -> Images:
    source = DATASETS[name]
    sets = dict(zip(("train", "test"), source.read(reading.data_dir), strict=True))
    if reading.unlabelled:
        sets = {split: images.unlabelled() for split, images in sets.items()}
    parts = [looking.of_arrays(images) for images in sets.values()]
    labels = torch.cat([images.labels for images in sets.values()]).numpy()
    first = len(sets["train"])

    def name_of(row: int) -> str:
        return f"train, row {row}" if row < first else f"test, row {row - first}"

    splits = (Split("train", np.arange(first)), Split("test", np.arange(first, len(labels))))
    classes = () if reading.unlabelled else source.classes
    return Images(classes, labels, _together(parts), name_of, splits)


def _in_files(files: ImageFiles, reading: Reading) -> Images:
    workers = cores() if reading.workers is None else reading.workers
    sources = files.sources
    parts = [looking.of_files(source, workers, split) for split, source in sources.items()]
    labels = torch.cat([source.labels for source in sources.values()]).numpy()
    first, kept_back = len(files.train), files.test is files.train

    def name_of(row: int) -> str:
        return files.train.name(row) if row < first else files.test.name(row - first)

    test = files.test_rows.numpy() + (0 if kept_back else first)
    splits = (Split("train", files.train_rows.numpy()), Split("test", test))
    images = Images(files.classes, labels, _together(parts), name_of, splits)
    for note in files.notes:
        images.tell(NOTE, "data", "", note)
    return images


_ARRAYS = ("sizes", "contents", "pixels")


def _together(parts: Sequence[Facts]) -> Facts:
    """The facts of several sets as those of one."""
    modes = list(dict.fromkeys(mode for part in parts for mode in part.modes))
    mode, reasons, first = [], dict[int, str](), 0
    for part in parts:
        numbers = np.array([modes.index(name) for name in part.modes] or [0], np.uint8)
        mode.append(numbers[part.mode])
        reasons |= {first + row: reason for row, reason in part.reasons.items()}
        first += len(part.mode)
    sizes, contents, pixels = (np.concatenate([getattr(part, key) for part in parts]) for key in _ARRAYS)
    return Facts(sizes, contents, pixels, np.concatenate(mode), modes, reasons)


def _broken(images: Images, reading: Reading) -> None:
    level = STOPS if reading.on_bad_image == "fatal" else WARNING
    for row, reason in sorted(images.facts.reasons.items()):
        images.tell(level, "broken image", images.name(row), f"cannot be read: {reason}")
    for split in images.splits:
        if not images.facts.good[split.rows].any():
            what = f"none of the {len(split.rows)} images can be read"
            images.tell(STOPS, "broken image", split.name, what)


def _sizes(images: Images) -> None:
    good, sizes = images.facts.good, images.facts.sizes
    shorter, longer = sizes.min(axis=1), sizes.max(axis=1)
    usual = np.median(shorter[good]) if good.any() else 0  # where all are as small, none is odd
    for kind, rows in {
        f"a side of less than {SMALL} pixels": np.flatnonzero(good & (shorter < SMALL) & (shorter < usual)),
        f"a side more than {LONG} times the other": np.flatnonzero(good & (longer > LONG * shorter)),
    }.items():
        if len(rows):
            height, width = sizes[rows[0]].tolist()
            first = f"{len(rows)} images have {kind}; the first has {height} x {width} (height, width)"
            images.tell(NOTE, "odd sizes", images.name(int(rows[0])), first)


def _classes(images: Images) -> None:
    counts = {split.name: _counts(images, split) for split in images.splits}
    for split, counted in counts.items():
        never = [name for name, count in zip(images.classes, counted, strict=True) if not count]
        if never:
            images.tell(WARNING, "class without images", split, f"{len(never)} classes: {listed(never)}")


def _duplicates(images: Images) -> None:
    place = np.full(len(images.labels), -1)
    for number, split in enumerate(images.splits):
        place[split.rows] = number
    names = [split.name for split in images.splits]
    for group in find_duplicates(images.facts.contents, images.facts.pixels, images.facts.good):
        found = {label_name(label, images.classes) for label in images.labels[list(group.rows)].tolist()}
        labels = sorted(found - {""})
        within = sorted({int(place[row]) for row in group.rows if place[row] >= 0})
        across = " and ".join(names[number] for number in within)
        kind = "duplicates across splits" if len(within) > 1 else "duplicates"
        what = f"{_how(group)} in {across}"
        if len(labels) > 1:
            kind, what = "duplicates of several classes", f"{what}, of the classes {listed(labels)}"
        members = [images.name(row) for row in group.rows[:MEMBERS]]
        more = f" and {len(group.rows) - MEMBERS} more" if len(group.rows) > MEMBERS else ""
        images.tell(WARNING, kind, ", ".join(members) + more, what)


def _how(group: Group) -> str:
    return f"{len(group.rows)} equal files" if group.exactly else f"{len(group.rows)} images of equal pixels"


def _counts(images: Images, split: Split) -> list[int]:
    labels = torch.from_numpy(images.labels[split.rows])
    counts: list[int] = class_counts(labels, len(images.classes)).tolist()
    return counts


def _table(images: Images) -> list[dict[str, Any]]:
    """How many images of each class every split has."""
    counts: Mapping[str, list[int]] = {split.name: _counts(images, split) for split in images.splits}
    return [
        {"class": printable(name), **{split: counted[number] for split, counted in counts.items()}}
        for number, name in enumerate(images.classes)
    ]


def _split(images: Images, split: Split) -> dict[str, Any]:
    """A row on all images of a split; of sides the smallest, the median and the largest in pixels."""
    good = split.rows[images.facts.good[split.rows]]
    sizes = images.facts.sizes[good]
    modes = Counter(images.facts.modes[number] for number in images.facts.mode[good].tolist())
    sides = {
        side: [int(sizes[:, at].min()), int(np.median(sizes[:, at])), int(sizes[:, at].max())] if len(good) else []
        for at, side in enumerate(("height", "width"))
    }
    broken = len(split.rows) - len(good)
    return {
        "split": split.name,
        "images": len(split.rows),
        "broken": broken,
        **sides,
        "modes": dict(modes.most_common()),
    }
