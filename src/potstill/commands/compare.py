"""``potstill compare``: a student alone and with each of several methods, and whether the methods help."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from potstill.comparing.comparison import Comparison, given
from potstill.comparing.methods import Method
from potstill.comparing.methods import methods as named
from potstill.comparing.record import check_same, read_record, write_record
from potstill.errors import BadInput
from potstill.ranges import Range
from potstill.runs.same_run import NOT_COMPARED
from potstill.say import say
from potstill.tables.columns import COSTS, Column
from potstill.tables.running import run_table
from potstill.tables.sweep import Sweep
from potstill.teacher import SomeTeacher
from potstill.training import Training


def compare(
    *,
    student: str,
    methods: tuple[str, ...],
    teacher: SomeTeacher = SomeTeacher(),
    student_weights: Path | None = None,
    seeds: Annotated[int, Range(1, 1000)] = 3,
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
        seeds: how many runs each row has, with seeds from --seed on.
        columns: further ones: ece, nll, agreement with the teacher.
        dry_run: only print the commands, those of finished runs behind a #.
    """
    folder = training.out or Path("runs") / "compare"
    there = read_record(folder)
    chosen = named(methods, teacher.teacher is not None, _labels(training))
    weights = None if student_weights is None else str(student_weights)
    comparison = _sound(Comparison(student, teacher, training, chosen, weights), there)
    record = _record(comparison)
    check_same(folder, there, record)
    if not dry_run:
        write_record(folder, record)
    return run_table(
        "comparison",
        comparison.table,
        folder,
        seeds=range(training.seed, training.seed + seeds),
        machine=comparison.machine,
        cache=training.teacher_cache,
        columns=(*columns, *(cost for cost in COSTS if cost not in columns)),
        dry_run=dry_run,
        sweep=sweep,
    )


def _labels(training: Training) -> str:
    """The loss by which the student alone is trained."""
    data = training.load_data()
    if data.unlabelled:
        raise BadInput(f"the images of {data.name} have no labels (--unlabelled): no student learns from them alone")
    return "BCE" if data.several else "CE"


def _sound(comparison: Comparison, there: dict[str, Any]) -> Comparison:
    """The comparison without members of groups that cannot be trained with this pair, which are said.

    Raises:
        BadInput: a method that was named cannot; all are listed.
    """
    from potstill.comparing.soundness import trouble_of, without_teacher

    if comparison.teacher.teacher is None and (needy := without_teacher(comparison.methods)):
        raise BadInput(f"{', '.join(needy)} need a teacher: --teacher")
    unknown = [method for method in comparison.methods if method.name not in there.get("methods", {})]
    trouble = trouble_of(replace(comparison, methods=unknown)) if unknown else {}
    groups = {method.name: method.group for method in comparison.methods}
    if refused := [f"{name}: {why}" for name, why in trouble.items() if not groups[name]]:
        raise BadInput("these methods cannot be compared here: " + "; ".join(refused))
    for name, why in trouble.items():
        say(f"{groups[name]}: without {name}: {why}")
    left: Sequence[Method] = [method for method in comparison.methods if method.name not in trouble]
    if not left:
        raise BadInput("none of these methods can be compared here")
    return replace(comparison, methods=left)


def _record(comparison: Comparison) -> dict[str, Any]:
    """What makes it the comparison it is: networks, data, training, and the terms of each method."""
    kept = {name: value for name, value in given(comparison.training).items() if name not in NOT_COMPARED}
    return {
        "student": comparison.student,
        "student weights": comparison.weights,
        "teacher": given(comparison.teacher),
        "training": {**kept, "seed": comparison.training.seed},
        "methods": {
            row.name: {"recipe": row.recipe, **{k: row.arguments[k] for k in ("first", "terms") if k in row.arguments}}
            for row in comparison.table.rows()[1:]
        },
    }
