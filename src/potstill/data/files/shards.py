"""Parquet files of a folder: which splits they are of, and whether all are there that their names promise."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.data.files.names import TEST, TRAIN, is_litter, listed
from potstill.errors import BadInput

PARTIAL = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".tmp", ".aria2")
"""How downloads end that are not finished."""
PROMISE = re.compile(r"(?P<number>\d+)-of-(?P<total>\d+)")
NUMBERED = re.compile(r"(?:.*[^\W\d][-_.])?(?P<number>\d+)", re.DOTALL)
"""How shards are called whose names promise nothing: train_0, 0000."""
MOST_PLACES = 50
"""Folders that are looked into for a configuration's files."""


@dataclass(frozen=True)
class Shard:
    """A Parquet file, as its name has it: its split, its number, and how many there are of it, as far as it says."""

    path: Path
    split: str
    number: int | None
    total: int | None


def find_shards(root: Path) -> dict[str, list[Path]] | None:
    """The Parquet files of each split in ``root``, in order; None if there are none.

    They lie in ``root`` or ``root/data``, in folders for splits there (``train/0000.parquet``), or all that in one
    further folder, as the Hub has one for each configuration (``default/train/0000.parquet``).

    Raises:
        BadInput: several configurations; a split is not whole: its names promise more files, it has a file twice, or
            one is still being downloaded.
    """
    place = _place(root)
    return None if place is None else splits_of(place)


def splits_of(place: Path) -> dict[str, list[Path]]:
    """The same of the very folder that they, or folders for the splits, lie in."""
    files = [*_parquet(place), *(file for folder in _split_folders(place) for file in _parquet(folder))]
    exactly = any(_before(file).lower() in (*TRAIN, *TEST) for file in files)
    found: dict[str, list[Shard]] = {}
    for file in files:
        shard = _shard(file, place, exactly)
        found.setdefault(shard.split, []).append(shard)
    for waiting in _unfinished(place):
        raise BadInput(f"{waiting} is a download that has not been finished")
    for split, shards in found.items():
        _must_be_whole(place, split, shards)
    return {
        split: [shard.path for shard in sorted(shards, key=lambda one: one.path.name)]
        for split, shards in found.items()
    }


def _place(root: Path) -> Path | None:
    for place in (root, root / "data"):
        if _parquet(place) or any(map(_parquet, _split_folders(place))):
            return place
    inner = [folder for base in (root, root / "data") for folder in _folders(base)]
    if len(inner) > MOST_PLACES:  # classes
        return None
    inner = [folder for folder in inner if _parquet(folder) or any(map(_parquet, _split_folders(folder)))]
    if len(inner) > 1:
        names = [str(folder.relative_to(root)) for folder in inner]
        raise BadInput(f"{root} holds several sets of Parquet files ({listed(names)}); give one of them: {inner[0]}")
    return inner[0] if inner else None


def _parquet(folder: Path) -> list[Path]:
    """The Parquet files in a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("*.[pP][aA][rR][qQ][uU][eE][tT]") if not is_litter(path.name))


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_litter(path.name))


def _split_folders(place: Path) -> list[Path]:
    return [folder for folder in _folders(place) if _split_in(folder.name)]


def _shard(file: Path, place: Path, exactly: bool) -> Shard:
    """What a file's name says; ``exactly``: what stands before the first hyphen is the split, as the Hub has it."""
    promised, numbered = PROMISE.search(file.stem), NUMBERED.fullmatch(file.stem)
    number = int(promised["number"]) if promised else int(numbered["number"]) if numbered else None
    around = "" if file.parent == place else _split_in(file.parent.name)
    split = around or (not exactly and _split_in(file.stem)) or _before(file)
    return Shard(file, split, number, int(promised["total"]) if promised else None)


def _before(file: Path) -> str:
    return file.stem.partition("-")[0]


def _split_in(name: str) -> str | None:
    """The split that a name speaks of, as the name spells it."""
    words = [word for word in re.split(r"[^a-zA-Z]+", name) if word]
    return next((word for known in (*TRAIN, *TEST) for word in words if word.lower() == known), None)


def _must_be_whole(place: Path, split: str, shards: Sequence[Shard]) -> None:
    """Refuse shards of which one is missing, or there twice."""
    totals = sorted({shard.total for shard in shards if shard.total is not None})
    many = f"{split}-*.parquet"
    if totals and (len(totals) > 1 or any(shard.total is None for shard in shards)):
        names = listed([shard.path.name for shard in shards], 3)
        raise BadInput(f"{place} holds files of different divisions of {split}: {names}; keep those of one")
    seen: dict[int, Path] = {}
    for shard in shards:
        if shard.number is not None and totals:
            other = seen.setdefault(shard.number, shard.path)
            if other != shard.path:
                raise BadInput(f"{place} holds shard {shard.number} of {split} twice: {other.name}, {shard.path.name}")
    if totals and set(seen) != set(range(totals[0])):
        missing = sorted(set(range(totals[0])) - set(seen))
        also = f", number {missing[0]} is missing" if missing else ""
        raise BadInput(f"{place} holds {len(shards)} of the {totals[0]} files {many}{also}")
    _must_be_consecutive(place, split, shards)


def _must_be_consecutive(place: Path, split: str, shards: Sequence[Shard]) -> None:
    """Refuse a gap in the numbers of shards that promise no total: ``train/0000.parquet``, ``train/0002.parquet``."""
    numbers = sorted(shard.number for shard in shards if shard.number is not None and shard.total is None)
    if len(numbers) != len(shards):
        return
    plain = all(re.fullmatch(r"\d{4,5}", shard.path.stem) for shard in shards)  # which the Hub counts from 0
    first = 0 if plain else numbers[0]
    missing = sorted(set(range(first, numbers[-1])) - set(numbers))
    if missing and first <= 1:
        raise BadInput(
            f"{place} holds {len(numbers)} files of {split}, up to number {numbers[-1]}, but not {missing[0]}"
        )


def _unfinished(place: Path) -> list[Path]:
    """Downloads that broke off, unless the whole file is there too."""
    found = [
        path
        for folder in (place, *_split_folders(place))
        for path in sorted(folder.iterdir())
        if ".parquet" in path.name.lower() and path.name.lower().endswith(PARTIAL)
    ]
    whole = [path.name[: path.name.lower().index(".parquet") + len(".parquet")] for path in found]
    return [path for path, name in zip(found, whole, strict=True) if not path.with_name(name).exists()]
