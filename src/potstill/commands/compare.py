"""``potstill compare``: a student alone and with each of several methods, and whether the methods help."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from potstill.comparing.comparison import Comparison
from potstill.comparing.methods import methods as named
from potstill.comparing.record import check_same, read_record, record_of, write_record
from potstill.errors import BadInput
from potstill.ranges import Positive, Range
from potstill.say import say
from potstill.tables.columns import COSTS, Column
from potstill.tables.running import run_table
from potstill.tables.sweep import Sweep
from potstill.teacher import SomeTeacher
from potstill.training import Training

if TYPE_CHECKING:
    from potstill.data import Data

SEEDS = 3
"""Fewer decide next to nothing."""


def compare(
    *,
    student: str,
    methods: tuple[str, ...],
    teacher: SomeTeacher = SomeTeacher(),
    student_weights: Path | None = None,
    seeds: Annotated[int, Range(1, 1000)] | None = None,
    tune: Annotated[int, Range(2, 1000)] | None = None,
    budget: Positive | None = None,
    columns: tuple[Column, ...] = (),
    dry_run: bool = False,
    sweep: Sweep = Sweep(),
    training: Training = Training(),
) -> dict[str, Any]:
    """Train a student alone and with each of several methods, and say which of them help.

    Every run is a command of its own, in a folder of its own, and resumes by itself; started again, the same command
    goes on where it was, with more --seeds too. A method's verdict is BETTER, WORSE or UNDECIDED, by its gain over the
    student alone in runs of the same seeds, with how many more seeds would decide; its time and memory stand beside.

    Args:
        student: the network to train, for example resnet20.
        methods: a loss's name, at its usual weight beside cross-entropy: KD; terms parted by ";" as distill takes them:
            "CE; 2 * DKD(beta=8)"; file.py:Loss, your own; or all, all-logit, all-features, all-relations.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        seeds: how many runs each row has, with seeds from --seed on; by default 3, or what a budget has room for.
        tune: try so many settings of each method first, its weight and temperature, the usual ones among them, by
            successive halving on held-out training images; the test images play no part. Needs potstill[tune].
        budget: hours that all of it may take: --epochs and --images are then the most, and what fits is found from a
            few measured steps of each row, and said.
        columns: further ones: ece, nll, agreement with the teacher.
        dry_run: only print the commands, those of finished runs behind a #.
    """
    folder = training.out or Path("runs") / "compare"
    there = read_record(folder)
    data = training.load_data()
    chosen = named(methods, teacher.teacher is not None, _labels(data))
    weights = None if student_weights is None else str(student_weights)
    comparison = _sound(Comparison(student, teacher, training, chosen, weights), there)
    asked = {**record_of(comparison), "tune": tune, "budget": budget}
    check_same(folder, there, asked)
    picked = there.get("picked")
    if dry_run and ((budget and not picked) or (tune and not (folder / "tune.json").is_file())):
        raise BadInput("--dry-run: which runs there will be is found by running some of them: --budget and --tune")
    if budget and not picked:
        picked = _picked(comparison, folder, data, sweep, hours=budget, seeds=seeds, trials=tune or 0)
    comparison = _of_budget(comparison, picked, data)
    if not dry_run:
        write_record(folder, asked if picked is None else {**asked, "picked": picked})
    count = seeds or (SEEDS if picked is None else picked["seeds"])
    if tune:
        comparison = _tuned(comparison, tune, folder, data, sweep)
    return run_table(
        "comparison",
        comparison.table,
        folder,
        seeds=range(training.seed, training.seed + count),
        machine=comparison.machine,
        cache=training.teacher_cache,
        columns=(*columns, *(cost for cost in COSTS if cost not in columns)),
        dry_run=dry_run,
        sweep=sweep,
    )


def _labels(data: "Data") -> str:
    """The loss by which the student alone is trained."""
    if data.unlabelled:
        raise BadInput(f"the images of {data.name} have no labels (--unlabelled): no student learns from them alone")
    if data.test is None:
        raise BadInput(f"{data.name} has no test images, by which methods are compared")
    return "BCE" if data.several else "CE"


def _sound(comparison: Comparison, there: dict[str, Any]) -> Comparison:
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


def _picked(
    comparison: Comparison, folder: Path, data: "Data", sweep: Sweep, hours: float, seeds: int | None, trials: int
) -> dict[str, Any]:
    """What fits into the budget, said with the reason."""
    from potstill.comparing.budget import HOUR, Size, choose
    from potstill.comparing.speed import measured_speed

    speed = measured_speed(comparison, folder, _count(data, "test"), sweep, trials)
    most = Size(comparison.training.epochs, seeds or SEEDS, _count(data, "train"))
    found = choose(hours, most, speed, seeds)
    size, rates = found.size, ", ".join(f"{name} {rate:.0f}" for name, rate in speed.rates.items())
    say(
        f"--budget {hours:g} hours: {size.epochs} epochs, {size.seeds} seeds, {size.images:,} images, about "
        f"{found.seconds / HOUR:.2g} hours: {found.why}; images a second: {rates}"
    )
    return found.plain()


def _of_budget(comparison: Comparison, picked: dict[str, Any] | None, data: "Data") -> Comparison:
    """The comparison of the size that was picked, if one was."""
    if picked is None:
        return comparison
    shorter = comparison.shortened(picked["epochs"])
    if picked["images"] < _count(data, "train"):
        shorter = replace(shorter, images=picked["images"])
    return replace(comparison, training=shorter, notes=(f"size picked by --budget: {picked['why']}",))


def _tuned(comparison: Comparison, count: int, folder: Path, data: "Data", sweep: Sweep) -> Comparison:
    """The comparison of the settings that did best in trials."""
    from potstill.comparing.tuning import FILE, Tuning

    images = comparison.training.images or _count(data, "train")
    chosen = Tuning(comparison, count, folder, images, sweep).chosen()
    note = f"the best of {count} settings of each method on held-out training images, see {FILE}"
    return replace(comparison, chosen=chosen, notes=(*comparison.notes, note))


def _count(data: "Data", split: str) -> int:
    """How many images a split has."""
    counts: dict[str, int] = data.described().get("images") or {}
    return counts[split]
