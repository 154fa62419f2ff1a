"""From rows to runs: which there are, the command of each, and which are finished already."""

import inspect
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from potstill.errors import BadInput, nearest
from potstill.tables.jobs import Job
from potstill.tables.row import Row

# A finished run is the same wherever its data lay, and whatever it was computed on.
NOT_COMPARED = {"out", "data_dir", "device", "workers"}


@dataclass(frozen=True)
class Run:
    """One seed of a row.

    Args:
        row: what to run.
        seed: with which seed.
        out: folder of the table.
        machine: further fields of `Training`: where the data lies, device, precision.
    """

    row: Row
    seed: int
    out: Path
    machine: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.row.folder} seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.out / self.row.folder / f"seed-{self.seed}"

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def arguments(self) -> dict[str, Any]:
        """The recipe's own arguments, with the teacher's run folder, or the file with its weights."""
        teacher = {} if self.row.teacher is None else {"teacher": str(self.out / self.row.teacher / "seed-0")}
        if self.row.teacher_file is not None:
            teacher["teacher_weights"] = str(data_folder(self.machine.get("data_dir")) / self.row.teacher_file)
        return {**self.row.arguments, **teacher}

    def training(self) -> dict[str, Any]:
        """The fields of `Training` that the row says."""
        return {**self.row.training, **self.machine, "seed": self.seed}

    def command(self) -> tuple[str, ...]:
        """The words of its command line."""
        flags = {**self.arguments(), **self.training(), "out": self.folder}
        words = [word for name, value in flags.items() for word in _flag(name.replace("_", "-"), value)]
        return (sys.executable, "-m", "potstill", self.row.recipe, *words)

    def is_finished(self) -> bool:
        """Whether its folder holds a finished run of this very configuration."""
        if not (self.folder / "summary.json").is_file():
            return False
        config = read_json(self.folder / "config.json")
        known, given = config["arguments"], {**self.arguments(), **self.training()}
        wanted = _plain({**_defaults(self.row, self.training()), **given})
        # An argument that came to the recipe later than the run had its default there, unless the row gives it.
        same = all(
            _same(name, known[name], value) if name in known else name not in given
            for name, value in wanted.items()
            if name not in NOT_COMPARED
        )
        return bool(config["recipe"] == self.row.recipe and same)

    def job(self) -> Job:
        """The same for the scheduler."""
        needs = None if self.row.teacher is None else f"{self.row.teacher} seed 0"
        return Job(self.name, self.command(), self.log, needs)


def expand(rows: Sequence[Row], seeds: int, out: Path, machine: Mapping[str, Any], only: str | None) -> list[Run]:
    """The runs of the rows that ``only`` names (all by default) and of their teachers, in the order to start them.

    A teacher that ``only`` does not name is run with seed 0 alone. Teachers come first, then seed after seed.

    Raises:
        BadInput: no row is of that name.
    """
    chosen = {row.name for row in choose(rows, only)}
    by_name = {row.name: row for row in rows}
    teachers = {row.teacher for row in rows if row.name in chosen and row.teacher is not None}
    folders = {row.folder for row in rows if row.name in chosen}
    wanted = [(by_name[name], seed) for seed in range(seeds) for name in by_name if name in folders]
    wanted += [(by_name[name], 0) for name in by_name if name in teachers - folders]
    wanted.sort(key=lambda pair: (not (pair[0].name in teachers and pair[1] == 0), pair[1]))
    return [Run(row, seed, out, machine) for row, seed in wanted]


def data_folder(given: Path | None) -> Path:
    """Where data sets lie: as given, or ``$POTSTILL_DATA``, or the user's cache folder."""
    if folder := given or os.environ.get("POTSTILL_DATA"):
        return Path(folder).expanduser()
    from potstill.data.cache import cache_folder  # takes torch

    return cache_folder()


def choose(rows: Sequence[Row], only: str | None) -> list[Row]:
    """The rows whose names fit the glob.

    Raises:
        BadInput: there are none; the message names the nearest.
    """
    chosen = [row for row in rows if only is None or fnmatchcase(row.name, only)]
    if not chosen:
        names = [row.name for row in rows]
        near = nearest(str(only).replace("*", ""), names) or names[:3]
        raise BadInput(f"--only {only!r} fits none of the {len(names)} rows; did you mean {' or '.join(near)}?")
    return chosen


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run folder, without what `potstill.engine` has to import.

    Raises:
        BadInput: the file is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    return content


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, tuple | list):
        return [f"--{name}", *map(str, value)] if value else []
    return [] if value is None else [f"--{name}", str(value)]


def _defaults(row: Row, training: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe takes for everything that the row leaves open."""
    from potstill import recipes

    parameters = inspect.signature(getattr(recipes, row.recipe.replace("-", "_"))).parameters
    own = {name: p.default for name, p in parameters.items() if p.default is not p.empty and name != "training"}
    return {**own, **asdict(replace(parameters["training"].default, **training))}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come out of a JSON file."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    return plain


def _same(name: str, before: Any, now: Any) -> bool:
    if name in ("teacher", "teacher_weights") and isinstance(before, str) and isinstance(now, str):
        # The folder around a run folder, or around the data, may have moved.
        return Path(before).parts[-2:] == Path(now).parts[-2:]
    return bool(before == now)
