"""Fill the tables of the guides docs/which-method.md and docs/costs.md, whose text is written by hand.

    python tools/write_guides.py

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. Its figures come from docs/results, from
docs/benchmarks.md, or are counted from the networks. Run it after every new result; a test compares.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from recorded_gains import RESULTS, SINGLE, recorded_gains

from potstill import networks
from potstill.runs.spread import Spread

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("which-method.md", "costs.md")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
PAIRS = (
    ("resnet20", "resnet56", 32),
    ("resnet8x4", "resnet32x4", 32),
    ("wrn-16-2", "wrn-40-2", 32),
    ("wrn-16-1", "wrn-40-1", 32),
    ("vgg8", "vgg13", 32),
    ("mobilenetv2x0.5", "vgg13", 32),
    ("resnet18", "resnet34", 224),
)
"""Student, teacher, and the height and width of the images."""

HELD_UP = {"wrn-16-1-G8B2-at"}
"""Runs whose times say nothing, by the page of the results."""


def main() -> None:
    for name in PAGES:
        (DOCS / name).write_text(page(name), encoding="utf-8")


def page(name: str) -> str:
    """A guide with its tables as the records are."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[4]}", text)


def gains() -> str:
    """What each method gained in the results that are on record."""
    return table(
        ("result", "row", "epochs", "seeds", "alone, %", "with help, %", "gain, points", "verdict"),
        (
            (
                f"[{gain.result}](results/{gain.result}/README.md)",
                gain.row,
                gain.epochs,
                len(gain.judged.paired.seeds),
                Spread(tuple(gain.alone.values())),
                Spread(tuple(gain.helped.values())),
                f"{gain.judged.paired.mean:+.2f}",
                gain.judged,
            )
            for gain in recorded_gains()
        ),
    )


def steps() -> str:
    """Multiply-adds of a step by what runs in it: a backward pass costs about two forward ones."""
    rows = []
    for student, teacher, side in PAIRS:
        small, large = (networks.create(name, seed=0) for name in (student, teacher))
        cost = [networks.macs(network, (3, side, side)) for network in (small, large)]
        rows.append(
            (
                f"{student} from {teacher}, {side} x {side}",
                f"{networks.parameters(small):,}",
                f"{networks.parameters(large):,}",
                f"{cost[0] / 1e6:,.1f}",
                f"{cost[1] / 1e6:,.1f}",
                f"{1 + cost[1] / (3 * cost[0]):.2f}",
                f"{1 + cost[1] / cost[0]:.2f}",
            )
        )
    head = (
        "pair",
        "student, parameters",
        "teacher",
        "student, M multiply-adds",
        "teacher",
        "frozen teacher",
        "both learn",
    )
    return table(head, rows)


def recorded() -> str:
    """What whole runs took that are on record."""
    rows = []
    for result, pairs in SINGLE.items():
        for helped, alone in ((helped, alone) for helped, alone in pairs.items() if helped not in HELD_UP):
            took = [json.loads((RESULTS / result / run / "summary.json").read_text()) for run in (alone, helped)]
            seconds = [one["seconds"] for one in took]
            times = f"{seconds[1] / seconds[0]:.2f}"
            rows.append(
                (f"[{helped}](results/{result}/README.md)", took[0]["epochs"], *(f"{s:,.0f}" for s in seconds), times)
            )
    return table(("run with help", "epochs", "alone, s", "with help, s", "times as long"), rows)


def benchmark(heading: str, columns: Sequence[int], rows: str = "", head: Sequence[str] = ()) -> Callable[[], str]:
    """Some columns and rows of the first table below a heading of docs/benchmarks.md."""

    def quoted() -> str:
        text = (
            (DOCS / "benchmarks.md").read_text(encoding="utf-8").partition(f"\n## {heading}")[2].partition("\n## ")[0]
        )
        first = text[text.index("\n|") + 1 :].partition("\n\n")[0]
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in first.splitlines()]
        chosen = [[line[i] for i in columns] for line in lines[2:] if re.search(rows, " | ".join(line))]
        return table(head or [lines[0][i] for i in columns], chosen)

    return quoted


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


ONE_BATCH = r"^(?!training|the same).*\| 64 \|"
TABLES: dict[str, Callable[[], str]] = {
    "gains": gains,
    "steps": steps,
    "recorded": recorded,
    "epochs": benchmark("An epoch against the machine", (0, 1)),
    "losses": benchmark("Losses:", (0, 3, 6), ONE_BATCH, ("loss, batch of 64", "ms, forward and backward", "MiB")),
    "kept": benchmark("Training step:", (0, 3, 6), r"^(KD|DKD|CRD)", ("pair", "time, answers kept", "memory")),
    "frameworks": benchmark("Training step:", (0, 1, 2, 4, 5)),
    "tables": benchmark("A small table:", (0, 1, 2)),
}

if __name__ == "__main__":
    main()
