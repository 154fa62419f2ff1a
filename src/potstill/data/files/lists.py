"""Image files whose labels stand beside them: ``--labels FILE``, ``--labels names``, and Tiny-ImageNet's."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from potstill.data.files.encoded import EXTENSIONS
from potstill.data.files.labels import ANNOTATIONS, NAMES, Row, read_annotations, read_list, read_names
from potstill.data.files.listed import Listed
from potstill.data.files.names import TEST, TRAIN, listed, looks, must_look_different, split_named
from potstill.data.files.taken import Taken
from potstill.data.label_names import several_hot
from potstill.errors import BadInput, unknown
from potstill.selection import Place


def read_labels(root: Path, how: Place) -> Taken:
    """The images that ``how.labels`` lists, with their classes, as training and test images.

    Raises:
        BadInput: the list does not fit: no columns, a path with two labels, in two splits, or without one; one class
            alone; test images of other classes; no image that exists.
    """
    notes: list[str] = []
    several = False
    if how.labels == NAMES:
        rows, base = list(read_names(root)), root
        if not any(row.labels for row in rows):
            raise BadInput(f"no file name in {root} says a class, as cat.10.jpg does: --labels {NAMES} cannot be")
        rows = _named_splits(rows)
    else:
        file = Path(str(how.labels))
        listing = read_list(file, how)
        notes, several = listing.notes, listing.several
        base = _base(root, file, listing.rows)
        rows = _spelled_out(base, listing.rows)
    rows = _once(rows)
    chosen = {split: [row for row in rows if row.split == split] for split in dict.fromkeys(row.split for row in rows)}
    train, test = _splits(chosen, how, notes, str(how.labels), several)
    classes = class_order(label for row in chosen[train] for label in row.labels)
    if not several:
        _must_be_labelled(chosen[train])
    if len(classes) < 2:
        count = "one class alone" if classes else "no class"
        raise BadInput(f"{how.labels} has {count} among its training images{''.join(f': {name}' for name in classes)}")
    must_look_different(classes, str(how.labels))
    sources = [_listed(base, chosen[split], classes, several) for split in ([train] if test is None else [train, test])]
    return Taken(classes, sources[0], sources[1] if test is not None else None, [*notes], (train or "all", test))


def tiny_imagenet(folder: Path, classes: Sequence[str]) -> Listed | None:
    """Tiny-ImageNet's validation images, ``images/*`` with annotations; None where ``folder`` is none such."""
    if not (folder / ANNOTATIONS).is_file():
        return None
    rows = [Row(path, (label,), "", f"{folder / ANNOTATIONS}: {path}") for path, label in read_annotations(folder)]
    return _listed(folder, rows, classes)


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Classes in alphabetical order; if all are whole numbers, in that of the numbers.

    >>> class_order(["10", "9", "9"]), class_order(["b", "10", "a"])
    (('9', '10'), ('10', 'a', 'b'))
    """
    names = {label for label in labels if label}
    numbers = all(name.isascii() and name.removeprefix("-").isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))


def _named_splits(rows: Sequence[Row]) -> list[Row]:
    """Rows whose first folder is a split if any is called so; else all are of one."""
    wanted = {name.lower() for name in (*TRAIN, *TEST)}
    if any(row.split.lower() in TRAIN for row in rows):
        return [row for row in rows if row.split.lower() in wanted]
    return [replace(row, split="") for row in rows]


def _base(root: Path, file: Path, rows: Sequence[Row]) -> Path:
    """The folder that the paths are in: the data's, or the list's own."""
    for base in dict.fromkeys((root, file.parent)):
        if any(_found(base, row.path) for row in rows[:100]):
            return base
    raise BadInput(f"{file} lists {rows[0].path}, and others, that are not in {root}: paths begin there")


def _found(base: Path, path: str) -> str | None:
    """The path as it is, or with the extension that it lacks."""
    try:
        return next((path + end for end in ("", *EXTENSIONS) if (base / (path + end)).is_file()), None)
    except OSError:  # a name that is too long
        return None


def _spelled_out(base: Path, rows: Sequence[Row]) -> list[Row]:
    """Rows with the extensions that their paths lack; an image that is missing is one that cannot be read."""
    return [replace(row, path=_found(base, row.path) or row.path) for row in rows]


def _once(rows: Sequence[Row]) -> list[Row]:
    """Every path once."""
    seen: dict[str, Row] = {}
    for row in rows:
        first = seen.setdefault(row.path, row)
        if (first.labels, first.split) != (row.labels, row.split):
            what = "two classes" if first.labels != row.labels else "two splits"
            both = [", ".join(one.labels) if first.labels != row.labels else one.split for one in (first, row)]
            raise BadInput(f"{row.where}: {row.path} is in {what}, {both[0]!r} and {both[1]!r}")
    return list(seen.values())


def _splits(
    chosen: dict[str, list[Row]], how: Place, notes: list[str], where: str, several: bool
) -> tuple[str, str | None]:
    """Which split is trained on and which is measured; the others are noted."""
    if set(chosen) == {""}:
        if how.test_split is not None:
            raise BadInput(f"--test-split {how.test_split}: {where} has no splits")
        return "", None
    train = split_named(chosen, TRAIN)
    if train is None:
        raise BadInput(f"{where} has the splits {listed(sorted(chosen))} but no train")
    enough = any if several else all  # an image of which several labels may be said need have none
    labelled = {s: rows for s, rows in chosen.items() if s != train[0] and enough(row.labels for row in rows)}
    test = choose_test(labelled, how, train[0], where)
    for split, rows in chosen.items():
        if split not in (train[0], test):
            why = "is not looked at; --test-split chooses" if split in labelled else "has no labels and is left out"
            notes.append(f"{where}: the split {split or 'without a name'} ({len(rows)} images) {why}")
    return train[0], test


def choose_test(entries: Iterable[str], how: Place, train: str, where: str) -> str | None:
    """Which of the splits with labels is measured: what --test-split says, or the first usual name; None without one.

    Raises:
        BadInput: the flag names none of them.
    """
    names = dict.fromkeys(entries)
    if how.test_split is None:
        usual = split_named(names, TEST)
        return None if usual is None else usual[0]
    wanted = split_named(names, [how.test_split.strip("/").lower()])
    if wanted is None and how.test_split.lower() == train.lower():
        raise BadInput(f"--test-split {how.test_split} is the split that is trained on")
    if wanted is None:
        if not names:
            raise BadInput(f"--test-split {how.test_split}: {where} has no split with labels besides {train}")
        raise unknown(f"split of {where} (--test-split)", how.test_split, names)
    return wanted[0]


def _must_be_labelled(rows: Sequence[Row]) -> None:
    if without := [row for row in rows if not row.labels]:
        raise BadInput(f"{without[0].where}: {without[0].path} has no label, like {len(without) - 1} others")


def _listed(base: Path, rows: Sequence[Row], classes: Sequence[str], several: bool = False) -> Listed:
    numbers = {looks(name): number for number, name in enumerate(classes)}
    for row in rows:
        if stray := [label for label in row.labels or ("",) if looks(label) not in numbers and (label or not several)]:
            raise BadInput(f"{row.where}: {stray[0]!r} is a class that the training images do not have")
    found = [[numbers[looks(label)] for label in row.labels] for row in rows]
    labels = several_hot(found, len(classes)) if several else [first for first, *_ in found]
    return Listed(base, [row.path for row in rows], labels, classes)
