"""``potstill compare``: a student alone and with each of several methods, and whether the methods help."""

from pathlib import Path
from typing import Annotated, Any

from potstill.comparing.comparison import Comparison
from potstill.comparing.methods import methods as named
from potstill.comparing.preparing import Asked, labels_of, prepared
from potstill.ranges import Positive, Range
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
    data = training.load_data()
    chosen = named(methods, teacher.teacher is not None, labels_of(data))
    weights = None if student_weights is None else str(student_weights)
    asked = Asked(seeds, tune, budget, sweep, dry_run)
    comparison, count = prepared(Comparison(student, teacher, training, chosen, weights), folder, data, asked)
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
