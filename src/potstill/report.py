"""A report of runs: one HTML file that opens without a network."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from potstill.engine.checkpoint import write_whole
from potstill.engine.run_folder import read_json

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } svg { width: 100%; height: auto }
.swatch { display: inline-block; width: 1.2em; height: .25em; margin-right: .5em; vertical-align: middle }
"""
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#8e5ea2", "#e08e0b", "#555555")
WIDTH, HEIGHT, MARGIN = 800, 320, 45


def write_report(file: Path, title: str, runs: Mapping[str, Sequence[Path]]) -> Path:
    """Write a table and the learning curves of finished runs.

    Args:
        file: the HTML file to write.
        title: its heading.
        runs: for each row, the run folders of its seeds; of a run with several learners the first counts.

    Returns:
        ``file``.
    """
    rows = {name: [_read(folder) for folder in folders] for name, folders in runs.items()}
    body = f"<h1>{escape(title)}</h1>{_table(rows)}<h2>Learning curves</h2>{_curves(rows)}"
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    write_whole(file, f"{page}{body}</html>\n".encode())
    return file


def _read(folder: Path) -> dict[str, Any]:
    summary = read_json(folder / "summary.json")
    learner = next(iter(summary["learners"]))
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    curve = [record["learners"][learner]["test"]["top1"] for record in history]
    return {**summary["learners"][learner], "curve": curve, "seconds": summary["seconds"]}


def _table(rows: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    head = ("network", "seeds", "parameters", "last epoch, %", "best epoch, %", "training, s")
    lines = ["".join(f"<th>{cell}</th>" for cell in head)]
    for colour, (name, seeds) in zip(COLOURS, rows.items(), strict=False):
        swatch = f'<span class="swatch" style="background:{colour}"></span>{escape(name)}'
        accuracies = [_spread([seed[which]["test"]["top1"] for seed in seeds]) for which in ("last", "best")]
        seconds = f"{mean(seed['seconds'] for seed in seeds):.1f}"
        cells = [swatch, str(len(seeds)), f"{seeds[0]['parameters']:,}", *accuracies, seconds]
        lines.append("".join(f"<td>{cell}</td>" for cell in cells))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _curves(rows: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Test accuracy over the epochs, a line a seed."""
    everything = [value for seeds in rows.values() for seed in seeds for value in seed["curve"]]
    longest = max(len(seed["curve"]) for seeds in rows.values() for seed in seeds)
    low, high = min(everything), max(everything)

    def point(epoch: int, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * epoch / max(longest - 1, 1)
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / max(high - low, 1e-9)
        return f"{x:.1f},{y:.1f}"

    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="'
        + " ".join(point(epoch, value) for epoch, value in enumerate(seed["curve"]))
        + f'"><title>{escape(name)}</title></polyline>'
        for colour, (name, seeds) in zip(COLOURS, rows.items(), strict=False)
        for seed in seeds
    ]
    labels = [
        f'<text x="5" y="{HEIGHT - MARGIN}">{low:.0f} %</text>',
        f'<text x="5" y="{MARGIN}">{high:.0f} %</text>',
        f'<text x="{MARGIN}" y="{HEIGHT - 15}">epoch 0</text>',
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 15}" text-anchor="middle">{longest - 1}</text>',
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="13">{"".join(lines + labels)}</svg>'
