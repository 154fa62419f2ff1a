"""What happens before a comparison's table: methods are set up, its size is picked, settings are tuned."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.comparing.comparison import Comparison
from potstill.comparing.record import PICKED, check_same, read_record, record_of, write_record
from potstill.errors import BadInput
from potstill.runs.names import TUNED
from potstill.say import say
from potstill.tables.sweep import Sweep

if TYPE_CHECKING:
    from potstill.data import Data
    from potstill.data.data import Batches

SEEDS = 3
"""By default: fewer decide next to nothing."""


@dataclass(frozen=True)
class Asked:
    """What a command asks besides the comparison itself.

    Args:
        seeds: how many, if it says so.
        tune: trials of each method, if any.
        budget: hours, if that is limited.
        sweep: where runs run.
        dry_run: whether nothing is to be run or written.
    """

    seeds: int | None
    tune: int | None
    budget: float | None
    sweep: Sweep
    dry_run: bool


def prepared(comparison: Comparison, folder: Path, data: "Data", asked: Asked) -> tuple[Comparison, int]:
    """The comparison as it is run, and with how many seeds: recorded, of the size that fits, and tuned.

    Raises:
        BadInput: a method cannot be trained, or the folder is of another comparison.
    """
    there = read_record(folder)
    comparison = sound(comparison, there)
    record = {**record_of(comparison), "tune": asked.tune, "budget": asked.budget}
    check_same(folder, there, record)
    picked = there.get(PICKED)
    if asked.dry_run and ((asked.budget and not picked) or (asked.tune and not (folder / TUNED).is_file())):
        raise BadInput("--dry-run: which runs there will be is found by running some of them: --budget and --tune")
    if asked.budget and not picked:
        picked = what_fits(comparison, folder, data, asked.sweep, asked.budget, asked.seeds, asked.tune or 0)
    comparison = of_that_size(comparison, picked, data)
    if not asked.dry_run:
        write_record(folder, record if picked is None else {**record, PICKED: picked})
    if asked.tune:
        comparison = tuned(comparison, asked.tune, folder, data, asked.sweep)
    return comparison, asked.seeds or (SEEDS if picked is None else picked["seeds"])


def labels_of(data: "Data") -> str:
    """The loss by which the student alone is trained."""
    if data.unlabelled:
        raise BadInput(f"the images of {data.name} have no labels (--unlabelled): no student learns from them alone")
    if data.test is None:
        raise BadInput(f"{data.name} has no test images, by which methods are compared")
    return "BCE" if data.several else "CE"


def sound(comparison: Comparison, there: Mapping[str, Any]) -> Comparison:
    """The comparison without members of groups that cannot be trained with this pair, which are said.

    Raises:
        BadInput: a method that was named cannot; all are listed.
    """
    from potstill.comparing.soundness import trouble_of, without_teacher

    if comparison.teacher.teacher is None and (needy := without_teacher(comparison.methods)):
        raise BadInput(f"{', '.join(needy)} {'need' if len(needy) > 1 else 'needs'} a teacher: --teacher")
    new = [method for method in comparison.methods if method.name not in there.get("methods", {})]
    trouble = trouble_of(replace(comparison, methods=new)) if new else {}
    groups = {method.name: method.group for method in comparison.methods}
    if refused := [f"{name}: {why}" for name, why in trouble.items() if not groups[name]]:
        raise BadInput("these methods cannot be compared here: " + "; ".join(refused))
    for name, why in trouble.items():
        say(f"{groups[name]}: without {name}: {why}")
    if len(trouble) == len(comparison.methods):
        raise BadInput("none of these methods can be compared here")
    return replace(comparison, methods=[method for method in comparison.methods if method.name not in trouble])


def what_fits(
    comparison: Comparison, folder: Path, data: "Data", sweep: Sweep, hours: float, seeds: int | None, trials: int
) -> dict[str, Any]:
    """What fits into the budget, said with the reason."""
    from potstill.comparing.budget import HOUR, Size, choose
    from potstill.comparing.speed import measured_speed

    assert data.test is not None, "labels_of refuses such data"
    speed = measured_speed(comparison, folder, _count(data.test), sweep, trials)
    most = Size(comparison.training.epochs, seeds or SEEDS, _count(data.train))
    found = choose(hours, most, speed, seeds)
    size, rates = found.size, ", ".join(f"{name} {rate:.0f}" for name, rate in speed.rates.items())
    say(
        f"--budget {hours:g} hours: {size.epochs} epochs, {size.seeds} seeds, {size.images:,} images, about "
        f"{found.seconds / HOUR:.2g} hours: {found.why}; images a second: {rates}"
    )
    return found.plain()


def of_that_size(comparison: Comparison, picked: dict[str, Any] | None, data: "Data") -> Comparison:
    """The comparison of the size that was picked, if one was."""
    if picked is None:
        return comparison
    shorter = comparison.shortened(picked["epochs"])
    if picked["images"] < _count(data.train):
        shorter = replace(shorter, images=picked["images"])
    return replace(comparison, training=shorter, notes=(f"size picked by --budget: {picked['why']}",))


def tuned(comparison: Comparison, count: int, folder: Path, data: "Data", sweep: Sweep) -> Comparison:
    """The comparison of the settings that did best in trials."""
    from potstill.comparing.tuning import Tuning

    images = comparison.training.images or _count(data.train)
    chosen = Tuning(comparison, count, folder, images, sweep).chosen()
    note = f"the best of {count} settings of each method on held-out training images, see {TUNED}"
    return replace(comparison, chosen=chosen, notes=(*comparison.notes, note))


def _count(batches: "Batches") -> int:
    """How many images a split has."""
    assert batches.count is not None, "of data sets that are loaded here, it is known"
    return batches.count
