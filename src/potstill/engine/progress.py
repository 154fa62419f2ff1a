"""What a user sees while a run trains: a live line on a terminal, a plain line an epoch elsewhere."""

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.progress_bar import ProgressBar
from rich.table import Table

from potstill.live_line import LiveLine, unstyled
from potstill.runs.headline import describe
from potstill.runs.schema import Epoch

REFRESH_SECONDS = 0.5
AGES = timedelta.max.days * 86400  # seconds: no longer time can be written


class Progress(LiveLine):
    """Shows epoch, images/s, each term's weight and value, accuracy and the time left, on stderr.

    Args:
        epochs: how many there will be.
        steps: how many batches an epoch has, if that is known.
        done: epochs that an earlier start of this run has finished.
    """

    def __init__(self, epochs: int, steps: int | None, done: int) -> None:
        super().__init__()
        self.epochs, self.steps, self.done = epochs, steps, done
        self.started = self.shown = time.monotonic()
        self.finished_here = 0
        self.accuracies = "-"

    def due(self) -> bool:
        """Whether it is time to look at the device's numbers again."""
        return time.monotonic() - self.shown > REFRESH_SECONDS

    def step(
        self, step: int, images_per_second: float, terms: Mapping[str, float], weights: Mapping[str, float]
    ) -> None:
        """Refresh the live line in the middle of an epoch; ``step`` counts from 1."""
        self.shown = time.monotonic()
        if not self.console.is_terminal:
            return
        epoch = self.done + self.finished_here
        bar = ProgressBar(total=self.steps, completed=step, width=24)
        line = Table.grid(padding=(0, 2))
        line.add_row(
            f"epoch {epoch}/{self.epochs}",
            bar,
            f"{images_per_second:.0f} images/s",
            unstyled(_terms(terms, weights)),
            unstyled(self.accuracies),
            self._left(step / self.steps if self.steps else 0),
        )
        self.live.update(line, refresh=True)

    def epoch(self, record: Epoch) -> None:
        """Print the line of a finished epoch."""
        self.finished_here += 1
        self.accuracies = "  ".join(f"{name} {describe(splits['test'])}" for name, splits in record["learners"].items())
        terms = _terms(record["terms"], record["weights"])
        self.say(
            f"epoch {record['epoch']:>3}  {record['images_per_second']:.0f} images/s  {terms}"
            f"  {self.accuracies}  {self._left(0)}"
        )

    def _left(self, part: float) -> str:
        done = self.finished_here + part
        if not done:
            return ""
        seconds = (time.monotonic() - self.started) * (self.epochs - self.done - done) / done
        return f"{timedelta(seconds=round(min(seconds, AGES)))} left"


def _terms(terms: Mapping[str, float], weights: Mapping[str, float]) -> str:
    """Each term's value as its loss gives it, behind its weight where that is not 1: ``0.9 * KD student 1.25``."""
    return "  ".join(
        f"{name} {value:.4g}" if weights[name] == 1 else f"{weights[name]:.4g} * {name} {value:.4g}"
        for name, value in terms.items()
    )
