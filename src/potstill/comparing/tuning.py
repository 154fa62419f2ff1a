"""``compare --tune``: settings of each method by successive halving, on held-out training images, with Optuna.

What tests the methods plays no part: trials are run with seeds of their own, and are judged by images that are held out
of those that the compared runs are trained on.

L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020, whose successive halving Optuna does:
https://arxiv.org/abs/1810.05934.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.comparing.comparison import Comparison
from potstill.comparing.methods import Method
from potstill.comparing.settings import ranges_of, with_settings
from potstill.comparing.study import Studies
from potstill.comparing.watched import Follower, Watched
from potstill.errors import BadInput, TrainingFailed
from potstill.runs.names import TUNED
from potstill.say import say
from potstill.tables.jobs import run_jobs
from potstill.tables.plan import ANSWERS, Run
from potstill.tables.progress import TableProgress
from potstill.tables.row import Row
from potstill.tables.sweep import Sweep
from potstill.whole_file import write_whole

if TYPE_CHECKING:
    from optuna.trial import Trial

FOLDER = "tuning"
SEED = 1000
"""Added to the first seed of the comparison: no run that is compared has it, unless there are a thousand of them."""
HELD_OUT = 5
"""One of so many training images is held out."""
MEASURED = 16
"""Test images that a trial's run measures and nobody looks at: a run has some."""


@dataclass(frozen=True)
class Tuning:
    """The trials of a comparison.

    Args:
        comparison: whose methods.
        count: how many settings each has; the first is the usual one.
        folder: of the comparison.
        images: how many its runs are trained on.
        sweep: how many trials run at once, on which GPUs.
    """

    comparison: Comparison
    count: int
    folder: Path
    images: int
    sweep: Sweep

    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The terms that did best of each method that can be tuned, once every trial is done.

        Raises:
            BadInput: trials are missing and are to run on other machines, or not at all.
            TrainingFailed: no trial of a method came to its end.
        """
        methods = [method for method in self.comparison.methods if ranges_of(method.usual)]
        for method in self.comparison.methods:
            if method not in methods:
                say(f"--tune: {method.name} has neither a weight beside that of labels nor a temperature: it stays")
        studies = Studies(self.folder / FOLDER, self.comparison.training.epochs)
        for number in range(self.count):
            self._round(number, methods, studies)
        told = {method.name: self._told(method, studies) for method in methods}
        text = json.dumps({"settings": self.count, "held_out": self._held_out(), "methods": told}, indent=2)
        write_whole(self.folder / TUNED, text.encode())
        return {name: tuple(method["trials"][method["chosen"]]["terms"]) for name, method in told.items()}

    def _round(self, number: int, methods: Sequence[Method], studies: Studies) -> None:
        """Run the trial of that number of every method, as far as it is not done."""
        trials = {method.name: (method, trial) for method in methods if (trial := studies.trial(method, number))}
        runs = {name: self._run(method, trial) for name, (method, trial) in trials.items()}
        if not runs:
            return
        if self.sweep.via or self.sweep.collect:
            raise BadInput("--tune trains here: run the same command without --via and --collect first")
        jobs = [replace(run.job(), name=f"{name} trial {number}") for name, run in runs.items()]
        followers = {
            job.name: Follower(run.folder, studies.judge(trials[name][1]))
            for job, (name, run) in zip(jobs, runs.items(), strict=True)
        }
        places = [Watched(place, followers) for place in self.sweep.here()]
        with TableProgress(0, len(jobs), len(places)) as progress:
            failures = run_jobs(jobs, places, progress)
        for job, name in zip(jobs, runs, strict=True):
            if not followers[job.name].look():  # what was measured after it was looked at last
                studies.tell(trials[name][1], failed=job.name in failures)

    def _run(self, method: Method, trial: "Trial") -> Run:
        """The run of a trial."""
        rows = {row.name: row for row in self.comparison.table.rows()}
        row, held = rows[method.name], self._held_out()
        terms = with_settings(row.arguments["terms"], settings_of(method, trial))
        measured = min(MEASURED, row.training.get("test_images", MEASURED))
        kept = {**row.training, "holdout": held, "test_images": measured}
        if "images" in kept:
            kept["images"] -= held
        tried = Row(str(trial.number), row.recipe, {**row.arguments, "terms": terms}, kept)
        training = self.comparison.training
        return Run(
            tried,
            SEED + training.seed,
            self.folder / FOLDER / method.name,
            self.comparison.machine,
            f"auto:{self.folder / ANSWERS}" if training.teacher_cache == "auto" else training.teacher_cache,
        )

    def _held_out(self) -> int:
        return max(1, self.images // HELD_OUT)

    def _told(self, method: Method, studies: Studies) -> dict[str, Any]:
        """Everything that was tried of a method, and which did best: of equals, the first."""
        rows = {row.name: row for row in self.comparison.table.rows()}
        trials = [
            {**told, "terms": list(with_settings(rows[method.name].arguments["terms"], told["setting"]))}
            for told in studies.told(method)[: self.count]
        ]
        ended = [i for i, told in enumerate(trials) if told["state"] == "complete"]
        if not ended:
            raise TrainingFailed(f"--tune: no trial of {method.name} came to its end; see {self.folder / FOLDER}")
        return {"chosen": max(ended, key=lambda i: (trials[i]["curve"][-1], -i)), "trials": trials}


def settings_of(method: Method, trial: "Trial") -> Mapping[str, float]:
    """The settings of a trial."""
    ranges = ranges_of(method.usual)
    return {name: trial.suggest_float(name, one.least, one.most, log=True) for name, one in ranges.items()}
