"""Record a table under docs/results: its own files, and of every run what its figures can be traced to.

    python tools/record_table.py runs/rocket-table1-3-epochs docs/results/rocket-table1-3-epochs

Copies table.md (as README.md), table.csv, table.json and report.html, and each run's config.json, metrics.jsonl and
summary.json. Weights, checkpoints and logs stay where they are.
"""

import shutil
import sys
from pathlib import Path

from record_result import copy

FILES = {"table.md": "README.md", "table.csv": "table.csv", "table.json": "table.json", "report.html": "report.html"}


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    for name, called in FILES.items():
        shutil.copyfile(source / name, target / called)
    for summary in sorted(source.rglob("summary.json")):
        copy(summary.parent, target / summary.parent.relative_to(source))
    with (target / "README.md").open("a") as page:
        page.write("\nCurves, shares of the terms, attention maps: [report.html](report.html). ")
        page.write("Written by `tools/record_table.py` from the files beside it.\n")


if __name__ == "__main__":
    main()
