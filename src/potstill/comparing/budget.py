"""``compare --budget HOURS``: how many epochs, seeds and images fit, from how fast the rows were measured to train."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from potstill.errors import BadInput

FEWEST_SEEDS, MOST_SEEDS = 3, 10
FEWEST_EPOCHS = 10
"""Of fewer, nobody learns what a method does in a whole training."""
FEWEST_BATCHES = 10
"""Of training images."""
FORWARD = 1 / 3
"""What it takes to measure an image, of what it takes to train on it: no pass back."""
OF_TRIALS = 0.6
"""What a trial of --tune takes of a whole run, about: few last to its end."""
HOUR = 3600.0


@dataclass(frozen=True)
class Size:
    """How much each row is trained.

    Args:
        epochs: of a run.
        seeds: runs.
        images: that each is trained on.
    """

    epochs: int
    seeds: int
    images: int


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Args:
        rates: images a second in training, of each row; the student alone is one.
        alone: the name of that.
        overhead: seconds of a run that are no training: starting it, loading the data.
        tested: images on which each epoch is measured.
        batch: images a step.
        at_once: how many runs at a time; the rates are of one that has the machine for itself, or its part of it.
        trials: of ``--tune``, for each row but the student alone.
    """

    rates: Mapping[str, float]
    alone: str
    overhead: float
    tested: int
    batch: int
    at_once: int = 1
    trials: int = 0

    def seconds(self, size: Size) -> float:
        """How long a whole comparison takes.

        >>> speed = Speed({"alone": 100.0, "KD": 50.0}, "alone", overhead=5.0, tested=300, batch=10)
        >>> speed.seconds(Size(epochs=2, seeds=3, images=1000))  # 3 * (5 + 2 * (10 + 1) + 5 + 2 * (20 + 1))
        222.0
        """
        measuring = FORWARD * self.tested / self.rates[self.alone]
        total = 0.0
        for row, rate in self.rates.items():
            runs = size.seeds + (0 if row == self.alone else self.trials * OF_TRIALS)
            total += runs * (self.overhead + size.epochs * (size.images / rate + measuring))
        return total / self.at_once


@dataclass(frozen=True)
class Choice:
    """What fits, and why it is that."""

    size: Size
    seconds: float
    why: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        size = self.size
        return {"epochs": size.epochs, "seeds": size.seeds, "images": size.images, "why": self.why}


def choose(hours: float, most: Size, speed: Speed, seeds: int | None = None) -> Choice:
    """The comparison that fits into a budget: shorter before fewer images, and 3 seeds before any more.

    Three seeds come first, without which hardly anything is decided; then whole runs; then more seeds, up to 10. What
    is too long gets fewer epochs, down to 10; then fewer images, down to 10 batches.

    Args:
        hours: the budget.
        most: epochs and images as they were asked for; its ``seeds`` do not count.
        speed: what was measured.
        seeds: as many, whatever fits.

    Raises:
        BadInput: not even the smallest fits.
    """
    time = hours * HOUR
    few = seeds or FEWEST_SEEDS
    whole = replace(most, seeds=few)
    least_epochs = min(FEWEST_EPOCHS, most.epochs)
    least_images = min(FEWEST_BATCHES * speed.batch, most.images)

    def fits(size: Size) -> bool:
        return speed.seconds(size) <= time

    if fits(whole):
        count = few if seeds else _most(few, MOST_SEEDS, lambda n: fits(replace(whole, seeds=n)))
        why = "whole runs fit" + ("" if seeds else f", and {count} seeds of them at most ({MOST_SEEDS} are enough)")
        return _chosen(replace(whole, seeds=count), speed, why)
    if fits(replace(whole, epochs=least_epochs)):
        epochs = _most(least_epochs, most.epochs, lambda n: fits(replace(whole, epochs=n)))
        return _chosen(replace(whole, epochs=epochs), speed, f"{most.epochs} epochs do not fit with {few} seeds")
    short = Size(least_epochs, few, least_images)
    if fits(short):
        images = _most(least_images, most.images, lambda n: fits(replace(short, images=n)))
        why = f"{least_epochs} epochs of all {most.images:,} images do not fit with {few} seeds"
        return _chosen(replace(short, images=images), speed, why)
    raise BadInput(
        f"--budget {hours:g} hours is too little: {few} seeds of {len(speed.rates)} rows, {least_epochs} epochs of "
        f"{least_images:,} images, take about {speed.seconds(short) / HOUR:.2g}; name fewer methods, or give more"
    )


def _chosen(size: Size, speed: Speed, why: str) -> Choice:
    return Choice(size, speed.seconds(size), why)


def _most(least: int, most: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits; ``least`` does.

    >>> _most(1, 100, lambda n: n <= 37)
    37
    """
    low, high = least, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
