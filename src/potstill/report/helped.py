"""The test images that a student gets right only with help, and those that help costs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.report.gains import RowGain
from potstill.report.markup import name, note, section, table
from potstill.report.rows import ReportRow
from potstill.report.thumbnails import thumbnails
from potstill.runs.outcomes import unpacked

PICTURES = 24
"""As many images are shown at most."""
NUMBERS = 200
"""As many are listed for a row at most."""
NOTE = """Of the test images, counted from 0: right only with help are those that the row gets right in most of its
seeds and its baseline in less than half; right only without, the other way round. Where chance alone decides, there are
such images too: compare both counts."""


@dataclass(frozen=True)
class Seen:
    """How often a row was right: ``labels`` tells whose images these are, ``shares`` is the part of the seeds."""

    labels: str
    shares: tuple[float, ...]
    seeds: int


@dataclass(frozen=True)
class Helped:
    """The images, by their numbers, that a row gets right and its baseline does not, and the other way round."""

    gain: RowGain
    ours: Seen
    theirs: Seen
    won: tuple[int, ...]
    lost: tuple[int, ...]


def seen(row: ReportRow) -> Seen | None:
    """What the runs of a row kept of each image; None if they kept nothing, or are of other images."""
    kept = [run.details[row.learner] for run in row.counted if row.learner in run.details]
    outcomes = [(one["outcomes"], one["n"]) for one in kept if "outcomes" in one]
    if len({(one["labels"], n) for one, n in outcomes}) != 1:
        return None
    rights = [unpacked(one["right"], n) for one, n in outcomes]
    shares = tuple(sum(image) / len(rights) for image in zip(*rights, strict=True))
    return Seen(outcomes[0][0]["labels"], shares, len(rights))


def helped(rows: Sequence[ReportRow], gains: Sequence[RowGain]) -> list[Helped]:
    """For each row with a baseline, as far as both kept outcomes of the same images."""
    found = []
    for gain in gains:
        ours, theirs = seen(rows[gain.row]), seen(rows[gain.baseline])
        if ours is None or theirs is None or (ours.labels, len(ours.shares)) != (theirs.labels, len(theirs.shares)):
            continue
        pairs = list(enumerate(zip(ours.shares, theirs.shares, strict=True)))
        won = tuple(i for i, (one, other) in pairs if one > 0.5 > other)
        lost = tuple(i for i, (one, other) in pairs if one < 0.5 < other)
        found.append(Helped(gain, ours, theirs, won, lost))
    return found


def pictured(rows: Sequence[ReportRow], found: Sequence[Helped]) -> list[dict[str, Any]]:
    """The images that help the most rows, and those the most, with their pixels; none where their data are not here."""
    if not any(one.won for one in found):
        return []
    labels = next(one.ours.labels for one in found if one.won)
    kin = [one for one in found if one.ours.labels == labels]
    by = {i: [one for one in kin if i in set(one.won)] for i in {i for one in kin for i in one.won}}
    gain = {i: sum(one.ours.shares[i] - one.theirs.shares[i] for one in those) for i, those in by.items()}
    chosen = sorted(by, key=lambda i: (-gain[i], i))[:PICTURES]
    pixels = thumbnails(rows[kin[0].gain.row], labels, chosen)
    return [
        {
            "index": i,
            **pixels[i],
            "rows": [one.gain.row for one in by[i]],
            "said": [_said(rows, one, i) for one in by[i]],
        }
        for i in chosen
        if i in pixels
    ]


def helped_section(rows: Sequence[ReportRow], found: Sequence[Helped]) -> str:
    """The counts, the numbers, and a place for the pictures; nothing where no run kept outcomes."""
    if not found:
        return ""
    head = ("row", "right only with help", "only without", "test images", "seeds", "over")
    lines = [
        [
            name(one.gain.row, rows[one.gain.row].label),
            *(f"{len(one.won):,}", f"{len(one.lost):,}", f"{len(one.ours.shares):,}"),
            f"{one.ours.seeds} and {one.theirs.seeds}",
            name(one.gain.baseline, rows[one.gain.baseline].label),
        ]
        for one in found
    ]
    numbers = "".join(
        f"<details><summary>{name(one.gain.row, rows[one.gain.row].label)}</summary>"
        f'<p class="note">{_listed("Right only with help", one.won)}</p>'
        f'<p class="note">{_listed("Right only without", one.lost)}</p></details>'
        for one in found
    )
    pictures = '<div class="thumbnails" id="helped-images"></div>'
    return section("helped", "Right only with help", table(head, lines) + pictures + numbers + note(NOTE))


def _said(rows: Sequence[ReportRow], one: Helped, i: int) -> str:
    ours, theirs = (round(s.shares[i] * s.seeds) for s in (one.ours, one.theirs))
    label = rows[one.gain.row].label
    return f"{label}: right in {ours} of {one.ours.seeds} seeds; alone in {theirs} of {one.theirs.seeds}"


def _listed(what: str, images: Sequence[int]) -> str:
    more = f" and {len(images) - NUMBERS:,} more" if len(images) > NUMBERS else ""
    return f"{what}: {', '.join(map(str, images[:NUMBERS])) or 'none'}{more}"
