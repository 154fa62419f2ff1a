"""What a tracker is told of a run besides its epochs: its name, its settings, what came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from potstill.engine.recorders import Recorder
from potstill.runs.schema import Config, Summary

PROJECT = "potstill"
"""The project or experiment that runs are put in, unless the tracker's own environment variable names another."""


@dataclass(frozen=True)
class Told:
    """A run before its first epoch.

    Args:
        folder: where it lies.
        config: its settings, see `settings`.
        id: what this tracker called it when it was begun; None: it begins now.
    """

    folder: Path
    config: dict[str, Any]
    id: str | None

    @property
    def name(self) -> str:
        """What people call the run: the last two parts of its folder, since many end in ``seed-0``.

        >>> Told(Path("/data/table/kd/seed-0"), {}, None).name
        'kd/seed-0'
        """
        return "/".join(self.folder.absolute().parts[-2:])


class Tracker(Recorder, Protocol):
    """A recorder that shows a run elsewhere; made from what it is `Told`. Any of its methods may raise anything."""

    id: str
    """What it calls the run, by which it is found again."""
    where: str
    """Where the run is shown, for people."""

    def finish(self, summary: Summary) -> None:
        """Take what came out of a run that has come to its end; ``close`` without it is of one that broke off."""


def settings(config: Config) -> dict[str, Any]:
    """A run's ``config.json`` in one level: its arguments under their names, and what else tells runs apart.

    Arguments that are None are left out.
    """
    data = config.get("data") or {"name": ""}
    return {
        "recipe": config["recipe"],
        **{name: value for name, value in config["arguments"].items() if value is not None},
        "commit": config.get("commit") or "",
        "hardware": config["device"],
        **{f"versions/{name}": version for name, version in config["versions"].items()},
        **{f"networks/{name}": network.get("spec") or "" for name, network in config["networks"].items()},
        **(config.get("teachers") or {}),
        "digest of the data": data.get("digest") or "",
    }


def outcome(summary: Summary) -> dict[str, float]:
    """The numbers of a run's ``summary.json``, by their paths.

    >>> outcome({"seconds": 2.0, "learners": {"student": {"best": {"epoch": 1, "holdout": None}}}})
    {'summary/seconds': 2.0, 'summary/learners/student/best/epoch': 1.0}
    """
    return dict(_numbers(summary, "summary"))


def _numbers(values: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}/{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"{prefix}/{name}", float(value)))
    return found
