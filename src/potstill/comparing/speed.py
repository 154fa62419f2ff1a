"""How fast a comparison's rows train: a few real steps of each, in runs of their own that are deleted after it."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from potstill.comparing.budget import Speed
from potstill.comparing.comparison import ALONE, Comparison
from potstill.errors import TrainingFailed
from potstill.runs.reading import read_history
from potstill.tables.jobs import Silent, run_jobs
from potstill.tables.plan import expand
from potstill.tables.sweep import Sweep

EPOCHS = 3
"""Of four batches each; the first counts for nothing: it makes what later steps find ready."""


def measured_speed(comparison: Comparison, folder: Path, tested: int, sweep: Sweep, trials: int) -> Speed:
    """The speed of every row, each run alone.

    Raises:
        TrainingFailed: a row cannot be trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, rates, overheads = comparison.table, {}, []
    runs = expand(table.rows(), 1, folder, comparison.machine, None, "off")
    places = sweep.here()
    with TemporaryDirectory(prefix=".measured-", dir=folder, ignore_cleanup_errors=True) as place:
        for run in runs:
            job = run.rehearsal(table, Path(place), EPOCHS, "off")
            began = time.monotonic()
            failures = run_jobs([job], places[:1], Silent())
            if failures:
                raise TrainingFailed(f"--budget cannot measure {run.row.name}: {failures[job.name]}")
            history = read_history(replace(run, out=Path(place)).folder)
            overheads.append(time.monotonic() - began - sum(epoch["seconds"] for epoch in history))
            later = history[1:]
            images = sum(epoch["images_per_second"] * epoch["seconds"] for epoch in later)
            rates[run.row.name] = images / sum(epoch["seconds"] for epoch in later)
    overhead = max(0.0, sum(overheads) / len(overheads))
    batch = comparison.training.batch_size
    return Speed(rates, ALONE, overhead, tested, batch, len(places), trials)
