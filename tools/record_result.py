"""Record finished runs under docs/results: their own files, a report, and a page that quotes them.

    python tools/record_result.py docs/results/NAME "Title" "row=runs/a-seed0,runs/a-seed1" "other row=runs/b-seed0"

Copies each run's config.json, metrics.jsonl and summary.json, so that every figure on the page can be traced. Paths are
shortened to their last part: where files lay on the machine is nobody's business.
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from potstill.report import write_report

KEPT = ("config.json", "metrics.jsonl", "summary.json")


def main() -> None:
    folder, title, *rows = sys.argv[1:]
    target = Path(folder)
    runs = {name: [Path(path) for path in paths.split(",")] for name, _, paths in (row.partition("=") for row in rows)}
    copies = {name: [copy(run, target / run.name) for run in folders] for name, folders in runs.items()}
    write_report(target / "report.html", title, copies)
    (target / "README.md").write_text(page(title, copies))


def copy(run: Path, target: Path) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        (target / name).write_bytes((run / name).read_bytes())
    config = json.loads((target / "config.json").read_text())
    for key, value in config["arguments"].items():
        if isinstance(value, str) and value.startswith("/"):
            config["arguments"][key] = Path(value).name
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return target


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
        summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
        configs = [json.loads((folder / "config.json").read_text()) for folder in folders]
        learner = next(iter(summaries[0]["learners"]))
        tops = [
            spread([s["learners"][learner][which]["test"]["top1"] for s in summaries]) for which in ("last", "best")
        ]
        seeds = ", ".join(str(config["arguments"]["seed"]) for config in configs)
        seconds = f"{mean(summary['seconds'] for summary in summaries):.0f}"
        commits = ", ".join(sorted({(config["commit"] or "unknown")[:10] for config in configs}))
        lines.append(f"| {name} | {seeds} | {tops[0]} | {tops[1]} | {summaries[0]['epochs']} | {seconds} | {commits} |")
    for name, folders in copies.items():
        lines += ["", f"## {name}", "", described(folders[0]), "", *curves(folders[0])]
    return "\n".join([*lines, "", "Curves: [report.html](report.html).", ""])


def described(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    arguments = ", ".join(
        f"{key} {plain(value)}" for key, value in config["arguments"].items() if value not in (None, [])
    )
    teachers = json.loads((folder / "summary.json").read_text())["teachers"]
    measured = "".join(f" The {name}: {result['top1']:.2f} %." for name, result in teachers.items())
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return f"`{config['recipe']}`: {arguments}. {config['device']}, {config['threads']} threads; {versions}.{measured}"


def curves(folder: Path) -> list[str]:
    records: list[dict[str, Any]] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    terms = list(records[0]["terms"])
    lines = [f"| epoch | lr | {' | '.join(terms)} | test top-1 |", "|---" * (len(terms) + 3) + "|"]
    for record in records:
        top1 = next(iter(record["learners"].values()))["test"]["top1"]
        values = " | ".join(f"{record['terms'][term]:.4g}" for term in terms)
        lines.append(f"| {record['epoch']} | {record['lr']:.4g} | {values} | {top1:.2f} |")
    return lines


def plain(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def spread(values: list[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


if __name__ == "__main__":
    main()
