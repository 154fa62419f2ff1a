"""The details of an evaluation as people read them: of a thousand classes, the worst; of a million pairs, the first."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from potstill.errors import BadInput
from potstill.runs.details import Details
from potstill.strict_json import strict
from potstill.text import in_csv
from potstill.whole_file import write_whole

Rows = list[dict[str, Any]]
ALL = 20
"""So many classes are all shown; of more, the worst."""
WORST, PAIRS = 10, 10
ENDINGS = (".json", ".csv")


def detail_lines(details: Details) -> dict[str, float]:
    """The single numbers, by what they are called; accuracy is told already."""
    return {
        "negative log-likelihood": details["nll"],
        "mean probability of the chosen class, %": details["confidence"],
        "expected calibration error, points": details["ece"],
    }


def detail_tables(details: Details) -> list[Rows]:
    """Classes, pairs of classes, and bins of probability, as tables."""
    return [class_rows(details), pair_rows(details), bin_rows(details)]


def class_rows(details: Details) -> Rows:
    """The classes in order, or the worst of many; each with what its images are taken for most often."""
    classes = details["classes"]
    order = list(range(len(classes)))
    if len(classes) > ALL:
        measured = [k for k in order if classes[k]["top1"] is not None]
        order = sorted(measured, key=lambda k: (classes[k]["top1"], k))[:WORST]
    largest = {label: (chosen, n) for label, chosen, n in reversed(mistakes(details))}
    heading = "class" if len(classes) <= ALL else f"worst of {len(classes)} classes"
    rows = []
    for k in order:
        one, (other, n) = classes[k], largest.get(k, (None, 0))
        taken = "" if other is None else f"{classes[other]['class']} ({n})"
        accuracy = "-" if one["top1"] is None else f"{one['top1']:.2f}"
        rows.append({heading: one["class"], "images": one["n"], "top-1, %": accuracy, "mostly taken for": taken})
    return rows


def pair_rows(details: Details) -> Rows:
    """The pairs of classes that are confused most."""
    classes = details["classes"]
    return [
        {
            "most confused: image of": classes[label]["class"],
            "taken for": classes[chosen]["class"],
            "images": n,
            "of the class, %": f"{100 * n / classes[label]['n']:.2f}",
        }
        for label, chosen, n in mistakes(details)[:PAIRS]
    ]


def bin_rows(details: Details) -> Rows:
    """How often a network is right where it is so sure."""
    return [
        {
            "probability, %": f"{one['low']:.0f} to {one['high']:.0f}",
            "images": one["n"],
            "mean, %": f"{one['confidence']:.2f}",
            "right, %": f"{one['top1']:.2f}",
        }
        for one in details["bins"]
        if one["n"]
    ]


def mistakes(details: Details) -> list[tuple[int, int, int]]:
    """The cells [label, chosen, images] off the diagonal, largest first."""
    cells = [(label, chosen, n) for label, chosen, n in details["confusion"] if label != chosen]
    return sorted(cells, key=lambda cell: (-cell[2], cell[:2]))


def must_be_writable(file: Path) -> None:
    """Raise BadInput, before anything is measured, if ``file`` has none of the known endings, or is a folder."""
    if file.suffix.lower() not in ENDINGS:
        raise BadInput(f"--out {file} ends in none of {', '.join(ENDINGS)}, which say what is written")
    if file.is_dir():
        raise BadInput(f"--out {file} is a folder, not a file")


def write_details(file: Path, measured: Mapping[str, Any], details: Details) -> None:
    """Write all that was measured as JSON, or as CSV a row a class and a column a class of the confusion matrix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".json":
        write_whole(file, (strict({**measured, "details": details}) + "\n").encode())
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_matrix(details))
    write_whole(file, text.getvalue().encode())


def _matrix(details: Details) -> Iterator[list[str]]:
    """A heading, and a row a class: its images, its accuracy, and how many of them were taken for which class."""
    names = [in_csv(one["class"]) for one in details["classes"]]
    yield ["class", "images", "top1", *names]
    taken: dict[int, dict[int, int]] = {}
    for label, chosen, n in details["confusion"]:
        taken.setdefault(label, {})[chosen] = n
    for k, one in enumerate(details["classes"]):
        counts = [str(taken.get(k, {}).get(other, 0)) for other in range(len(names))]
        yield [names[k], str(one["n"]), "" if one["top1"] is None else repr(one["top1"]), *counts]
