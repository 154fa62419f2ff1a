"""A command's result as people read it: its tables, then a line for everything else."""

import os
import sys
from typing import Any

from potstill.text import printable

WIDTH_OF_FILES = 160  # characters a line of what is not shown on a terminal
APART = ("gains", "layers", "splits", "findings")
"""Entries that are tables of their own, below the first."""


def show(result: dict[str, Any]) -> None:
    """Print a command's result for people: its table, if it has one, then a line for everything else."""
    from rich.console import Console
    from rich.table import Column, Table

    from potstill.live_line import unstyled

    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if told else WIDTH_OF_FILES)
    rest = dict(result)
    code = rest.pop("code", [])
    for line in [*rest.pop("commands", []), *rest.pop("equation", [])]:
        print(printable(line))  # not wrapped: it is there to be copied, or has its own lines
    main_table = rest.pop("table", None) or _learners(rest) or _listed(rest) or _predicted(rest)
    others = [rest.pop(name, []) for name in APART]
    for rows in (main_table, *others, *_details(rest), _taps(rest)):
        if rows:
            table = Table(*(Column(unstyled(name), overflow="fold") for name in rows[0]), box=None, header_style="bold")
            for row in rows:
                table.add_row(*(unstyled(_text(cell)) for cell in row.values()))
            console.print(table)
    if memory := rest.pop("memory", None):
        rest["peak memory"] = f"{memory['peak_bytes'] / 2**30:.2f} GiB ({memory['of']})"
    lines = Table(box=None, show_header=False)
    for name, value in _flat(rest):
        lines.add_row(unstyled(name), unstyled(_text(value)))
    if lines.rows:
        console.print(lines)
    for line in code:
        print(printable(line))  # to be copied, too


def _text(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _learners(result: dict[str, Any]) -> list[dict[str, str]]:
    """A run's summary as a table."""
    if "learners" not in result:
        return []
    from potstill.runs.headline import describe, of_teacher

    rows = []
    for name, network in result.pop("learners").items():
        last, best = network["last"], network["best"]
        cells = {"network": name, "parameters": f"{network['parameters']:,}", "last epoch": describe(last["test"])}
        rows.append({**cells, "best epoch": f"{describe(best['test'])} ({best['epoch']})" if best["test"] else "-"})
        if start := network.get("start"):
            cells = {"network": f"{name} (before training)", "parameters": "", "last epoch": describe(start["test"])}
            rows.append({**cells, "best epoch": ""})
    for name, teacher in result.pop("teachers").items():
        count = f"{teacher['parameters']:,}" if "parameters" in teacher else ""
        cells = {"network": f"{name} (frozen)", "parameters": count, "last epoch": describe(of_teacher(teacher))}
        rows.append({**cells, "best epoch": ""})
    return rows


def _taps(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The taps of a network as a table."""
    if "taps" not in result:
        return []
    from potstill.commands.taps import tap_rows

    return tap_rows(result.pop("taps"), result.pop("shapes"))


def _listed(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The losses or the tables there are, as a table."""
    listed = result.pop("losses", {}) or result.pop("tables", {})
    # As text: a year is no number to be grouped in thousands.
    return [{"name": name, **{k: "" if v is None else str(v) for k, v in row.items()}} for name, row in listed.items()]


def _predicted(result: dict[str, Any]) -> list[dict[str, str]]:
    """The classes of pictures as a table."""
    if "predictions" not in result:
        return []
    from potstill.commands.predict import prediction_rows

    return prediction_rows(result.pop("predictions"))


def _details(result: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """What `evaluate` tells in detail as tables; single numbers stay among the lines."""
    if "details" not in result:
        return []
    from potstill.commands.details import detail_lines, detail_tables

    details = result.pop("details")
    result |= detail_lines(details)
    return detail_tables(details)


def _flat(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The entries of nested dictionaries; lists of numbers only matter to machines."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += _flat(value) if isinstance(value, dict) else [] if isinstance(value, list) else [(name, value)]
    return found
