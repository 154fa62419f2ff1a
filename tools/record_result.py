"""Record finished runs under docs/results: their own files, a report, and a page that quotes them.

    python tools/record_result.py docs/results/NAME "Title" "row=runs/a-seed0,runs/a-seed1" "other row=runs/b-seed0"

Copies each run's config.json, metrics.jsonl and summary.json, so that every figure on the page can be traced; a
manifest of the copies vouches for them. Paths are shortened to their last part: where files lay on the machine is
nobody's business.
"""

import json
import re
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from potstill.report import write_report
from potstill.runs import manifest
from potstill.runs.headline import describe, digits, heads, title, value_of, value_text
from potstill.runs.names import CONFIG, SIGNS
from potstill.runs.reading import read_config, read_history
from potstill.runs.recorded import read_run
from potstill.runs.schema import Measured
from potstill.runs.spread import Spread


def main() -> None:
    folder, title, *rows = sys.argv[1:]
    target = Path(folder)
    runs = {name: [Path(path) for path in paths.split(",")] for name, _, paths in (row.partition("=") for row in rows)}
    copies = {name: [copy(run, target / run.name) for run in folders] for name, folders in runs.items()}
    write_report(target / "report.html", title, copies)
    (target / "README.md").write_text(page(title, copies))


FOLDERS = re.compile(r"(?<![^\s:,=])/(?=\S)(?:[^/\n:,=]+/)*")
"""All of an absolute path but its last part, wherever in a value it begins: "auto:/a/b", "/a/b.pt"."""


def copy(run: Path, target: Path) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for name in SIGNS:
        (target / name).write_bytes((run / name).read_bytes())
    config = without_paths(read_config(run))  # whose manifest is there
    for segment in config.get("segments") or []:
        segment.pop("machine", None)
    (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    if manifest.read(run) is not None:  # runs of earlier versions have none
        manifest.begin(target)
    return target


def without_paths(value: Any) -> Any:
    """A value of a config with every absolute path in it shortened to its last part."""
    if isinstance(value, dict):
        return {key: without_paths(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_paths(one) for one in value]
    return FOLDERS.sub("", value) if isinstance(value, str) else value


def page(title: str, copies: dict[str, list[Path]]) -> str:
    lines = [
        f"# {title}",
        "",
        "Written by `tools/record_result.py` from the files beside it; test top-1 in percent.",
        "",
    ]
    lines += [
        "| run | seeds | last epoch | best epoch | epochs | training, s | commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, folders in copies.items():
        found = [read_run(folder) for folder in folders]
        configs, summaries = [run.config for run in found], [run.summary for run in found]
        tops = [spread([run.measured(run.learners[0], which) for run in found]) for which in ("last", "best")]
        seeds = ", ".join(str(config["arguments"]["seed"]) for config in configs)
        seconds = f"{mean(summary['seconds'] for summary in summaries):.0f}"
        commits = ", ".join(sorted({(config["commit"] or "unknown")[:10] for config in configs}))
        lines.append(f"| {name} | {seeds} | {tops[0]} | {tops[1]} | {summaries[0]['epochs']} | {seconds} | {commits} |")
    for name, folders in copies.items():
        lines += ["", f"## {name}", "", described(folders[0]), "", *curves(folders[0])]
    return "\n".join([*lines, "", "Curves: [report.html](report.html).", ""])


def described(folder: Path) -> str:
    run = read_run(folder)
    config = run.config
    arguments = ", ".join(
        f"{key} {plain(value)}" for key, value in config["arguments"].items() if value not in (None, [])
    )
    measured = "".join(f" The {name}: {describe(result)}." for name, result in run.teachers().items())
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return f"`{config['recipe']}`: {arguments}. {config['device']}, {config['threads']} threads; {versions}.{measured}"


def curves(folder: Path) -> list[str]:
    records = read_history(folder)
    tests = [next(iter(record["learners"].values()))["test"] for record in records]
    terms = list(records[0]["terms"])
    lines = [f"| epoch | lr | {' | '.join(terms)} | test {heading(tests)} |", "|---" * (len(terms) + 3) + "|"]
    for record, test in zip(records, tests, strict=True):
        values = " | ".join(f"{record['terms'][term]:.4g}" for term in terms)
        lines.append(f"| {record['epoch']} | {record['lr']:.4g} | {values} | {value_text(test)} |")
    return lines


def plain(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def spread(measured: list[Measured]) -> str:
    names = heads(measured)
    values = tuple(value for value in map(value_of, measured) if value is not None)
    return Spread(values).text(digits(names[0])) if values else "-"


def heading(measured: list[Measured]) -> str:
    return " or ".join(map(title, heads(measured))).removesuffix(", %") or "-"


if __name__ == "__main__":
    main()
