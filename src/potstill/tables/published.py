"""Numbers that others have published, quoted from files and never mixed with our own."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILES = ("published.csv", "newer.csv", "papers.csv")
"""The collection that came with the project's first documents, that of the methods since, and what was added from the
papers themselves."""


@dataclass(frozen=True)
class Published:
    """A top-1 accuracy in percent, with where it stands and how it was measured."""

    value: float
    source: str
    protocol: str
    url: str

    @property
    def is_best_epoch(self) -> bool:
        """Whether it is the best of all test epochs, not the last."""
        return "best test epoch" in self.protocol


def published(source: str, dataset: str, teacher: str, student: str, method: str) -> Published | None:
    """The number of that key in the files, errors turned into accuracies; None if there is none.

    ``source`` is the beginning of the source's name. A student without a teacher has the teacher "-".
    """
    found = quoted(source, dataset, teacher, student, method)
    assert len(found) <= 1, f"two numbers for {source}, {dataset}, {teacher}, {student}, {method}"
    return found[0] if found else None


def quoted(source: str, dataset: str, teacher: str, student: str, method: str) -> tuple[Published, ...]:
    """All numbers of that key: none, one, or several that were measured differently."""
    return tuple(
        Published(_accuracy(entry), entry["source"], entry["protocol"], entry.get("url") or "")
        for entry in _entries()
        if entry["source"].startswith(source)
        and (entry["dataset"], entry["teacher"], entry["student"], entry["method"])
        == (dataset, teacher, student, method)
    )


@cache
def _entries() -> list[dict[str, str]]:
    """The top-1 numbers of all files."""
    entries: list[dict[str, str]] = []
    for name in FILES:
        with (files("potstill.tables") / name).open(encoding="utf-8") as file:
            entries += [entry for entry in csv.DictReader(file) if entry["metric"].startswith("top1")]
    return entries


def _accuracy(entry: dict[str, str]) -> float:
    value = float(entry["value"])
    return value if entry["metric"] == "top1_accuracy" else round(100 - value, 6)
