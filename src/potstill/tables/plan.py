"""From rows to runs: which there are, the command of each, and which are finished already."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from potstill.errors import BadInput, nearest
from potstill.runs.manifest import verify_all
from potstill.runs.reading import is_finished, read_config
from potstill.runs.recording import arguments_of
from potstill.runs.same_run import Asked, asked, difference
from potstill.selection import Selection
from potstill.tables.jobs import Job
from potstill.tables.row import Row, Table

IMAGES = {field.name for field in fields(Selection)} | {"batch_size", "seed", "device", "precision"}
"""Fields of `Training` on which a batch of images depends."""
ANSWERS = "answers"
"""The folder in a table's where teachers' answers are kept for all its runs."""
REHEARSED, MEASURED = 4, 16
"""Of a rehearsal: how many batches an epoch has, and on how many images its networks are measured."""
OF_LOGITS = frozenset({"CE", "KD", "DKD", "DIST", "Logits"})


@dataclass(frozen=True)
class Run:
    """One seed of a row.

    Args:
        row: what to run.
        seed: with which seed.
        out: folder of the table.
        machine: further fields of `Training`: where the data lies, device, precision.
        cache: ``--teacher-cache``, where ``auto`` is a folder in the table's.
    """

    row: Row
    seed: int
    out: Path
    machine: Mapping[str, Any]
    cache: str = "auto"

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
        """The recipe's own arguments, with the teacher's run folder, or the file with its weights.

        A student may be made of its teacher: "resnet8^{teacher}@stage3".
        """
        teacher = {} if self.row.teacher is None else {"teacher": str(self.out / self.row.teacher / "seed-0")}
        if self.row.teacher_file is not None:
            teacher["teacher_weights"] = str(data_folder(self.machine.get("data_dir")) / self.row.teacher_file)
        given = {**self.row.arguments, **teacher}
        if "{teacher}" in given.get("student", ""):
            given["student"] = given["student"].replace("{teacher}", given["teacher"])
        return given

    def training(self) -> dict[str, Any]:
        """The fields of `Training` that the row says."""
        return {**self.row.training, **self.machine, "seed": self.seed}

    def command(self) -> tuple[str, ...]:
        """The words of its command line."""
        flags = {**self.arguments(), **self.training(), "out": self.folder}
        if "teacher" in flags:
            flags["teacher_cache"] = f"auto:{self.out / ANSWERS}" if self.cache == "auto" else self.cache
        words = [word for name, value in flags.items() for word in _flag(name.replace("_", "-"), value)]
        return (sys.executable, "-m", "potstill", self.row.recipe, *words)

    def is_finished(self) -> bool:
        """Whether its folder holds a finished run of this very configuration.

        Raises:
            BadInput: what it holds is damaged.
        """
        if not is_finished(self.folder):
            return False
        verify_all(self.folder)
        given = {**self.arguments(), **self.training()}
        wanted = Asked(self.row.recipe, _recorded(self.row, given))
        there = asked(read_config(self.folder))
        # What the recipe does not take is none of its arguments, whatever a run of an earlier version recorded.
        known = {name: value for name, value in there.arguments.items() if name in wanted.arguments}
        # An argument that came to the recipe later than the run had its default there, unless the row gives it.
        defaults = {name: value for name, value in wanted.arguments.items() if name not in given}
        return difference(replace(there, arguments=known), wanted, defaults=defaults) is None

    def job(self) -> Job:
        """The same for the scheduler."""
        needs = None if self.row.teacher is None else f"{self.row.teacher} seed 0"
        return Job(self.name, self.command(), self.log, needs, self.shares())

    def rehearsal(self, table: Table, out: Path, epochs: int, cache: str) -> Job:
        """A part of it, to see how fast it is: epochs of a few batches, in the folder of another table."""
        row = next(row for row in table.rows(epochs) if row.name == self.row.name)
        given: dict[str, Any] = self.arguments()
        own: dict[str, Any] = {name: given[name] for name in ("teacher", "teacher_weights") if name in given}
        few: dict[str, Any] = {"images": REHEARSED * row.training.get("batch_size", 128), "test_images": MEASURED}
        few = {name: min(count, self.training().get(name, count)) for name, count in few.items()}
        row = replace(row, arguments={**row.arguments, **own}, teacher=None, teacher_file=None)
        return replace(self, row=row, out=out, machine={**self.machine, **few}, cache=cache).job()

    def shares(self) -> str | None:
        """What it shares with other runs side by side: teacher, images and seed; None without a teacher."""
        given = self.arguments()
        if "teacher" not in given or self.machine.get("compile"):  # compiled networks run without their taps' sharing
            return None
        teacher = {name: value for name, value in given.items() if name.startswith("teacher")}
        training = {name: value for name, value in self.training().items() if name in IMAGES}
        return repr((teacher, training))


def expand(
    rows: Sequence[Row],
    seeds: int | range,
    out: Path,
    machine: Mapping[str, Any],
    only: str | None,
    cache: str = "auto",
) -> list[Run]:
    """The runs of the rows that ``only`` names (all by default) and of their teachers, in the order to start them.

    ``seeds`` is how many, from 0 on, or which. A teacher that ``only`` does not name is run with seed 0 alone. Teachers
    come first, then seed after seed; of each, rows that want a teacher's logits only, whose answers the others then
    need not ask for again.

    Raises:
        BadInput: no row is of that name.
    """
    chosen = {row.name for row in choose(rows, only)}
    by_name = {row.name: row for row in rows}
    teachers = {row.teacher for row in rows if row.name in chosen and row.teacher is not None}
    folders = {row.folder for row in rows if row.name in chosen}
    each = range(seeds) if isinstance(seeds, int) else seeds
    wanted = [(by_name[name], seed) for seed in each for name in by_name if name in folders]
    wanted += [(by_name[name], 0) for name in by_name if name in teachers - folders]
    wanted.sort(key=lambda pair: (not (pair[0].name in teachers and pair[1] == 0), pair[1], not _asks_logits(pair[0])))
    return [Run(row, seed, out, machine, cache) for row, seed in wanted]


def _asks_logits(row: Row) -> bool:
    """Whether a row's teacher is asked for nothing but logits, as far as its terms say."""
    names = [re.findall(r"\b[A-Z]\w*", term)[:1] for term in row.arguments.get("terms", ())]
    return bool(names) and row.recipe == "distill" and all({*name} <= OF_LOGITS for name in names)


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


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, tuple | list):
        return [f"--{name}", *map(str, value)] if value else []
    return [] if value is None else [f"--{name}", str(value)]


def _recorded(row: Row, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run of the recipe records, the recipe's defaults included."""
    from potstill import recipes

    return arguments_of(getattr(recipes, row.recipe.replace("-", "_")), given)
