"""The command line: a command is a function, its flags are the function's arguments.

Nothing here imports torch, so that help and a mistyped flag answer at once.
"""

import contextlib
import inspect
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from potstill.errors import BadInput, TrainingFailed, unknown
from potstill.runs.recording import recipe

BAD_INPUT, FAILED_TRAINING, INTERRUPTED = 2, 3, 130
WIDTH_OF_FILES = 160  # characters a line of what is not shown on a terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 2 for bad input, 3 for a run that failed while training."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        command, rest = find_command([word for word in words if word != "--json"])
        result = call(command, rest)
    except BadInput as error:
        return _complain(error, BAD_INPUT)
    except OSError as error:
        return _complain(f"{error.filename or 'file'}: {error.strerror}", BAD_INPUT)
    except TrainingFailed as error:
        return _complain(error, FAILED_TRAINING)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command continues", INTERRUPTED)
    if as_json:
        print(json.dumps(result))
    elif result:
        show(result)
    if failed := result and result.get("failed"):
        return _complain(f"runs that failed: {len(failed)}", FAILED_TRAINING)
    return 0


def commands() -> dict[str, Callable[..., dict[str, Any]]]:
    """Every command by name: the recipes, and the rest."""
    from potstill import commands, recipes

    found = {name.replace("_", "-"): getattr(recipes, name) for name in recipes.__all__}
    return {"demo": commands.demo, **found, "evaluate": commands.evaluate, "describe": commands.describe} | {
        "export": commands.export,
        "table": commands.table,
        "report": commands.report,
        "list": commands.listing,
    }


def find_command(words: Sequence[str]) -> tuple[Callable[..., dict[str, Any]], list[str]]:
    """The function that the first words name, and the words that are left for it."""
    known = commands()
    if not words or words[0] in ("-h", "--help"):
        print(overview(known))
        raise SystemExit(0)
    if words[0] == "--version":
        import potstill

        print(f"potstill {potstill.__version__}")
        raise SystemExit(0)
    if words[0] == "run":
        from potstill.own_code import find_own

        if len(words) < 2:
            raise BadInput("run needs a file: potstill run FILE.py[:function]")
        path, _, function = words[1].partition(":")
        own: Callable[..., dict[str, Any]] = find_own(path, function or "main", "recipe")
        return recipe(own, function or Path(path).stem), list(words[2:])
    if words[0] not in known:
        raise unknown("command", words[0], [*known, "run"])
    return known[words[0]], list(words[1:])


def overview(known: dict[str, Callable[..., Any]]) -> str:
    """The text of ``potstill --help``."""
    rows = {name: (inspect.getdoc(function) or "").split("\n")[0] for name, function in known.items()}
    rows["run"] = "Run a recipe of your own: potstill run FILE.py[:function] [--flags]."
    lines = [f"  {name:<12} {sentence}" for name, sentence in rows.items()]
    head = "usage: potstill COMMAND [--flags] [--json]\n\nKnowledge distillation for image classifiers.\n"
    return "\n".join([head, *lines, "\npotstill COMMAND --help tells a command's flags."])


def call(command: Callable[..., dict[str, Any]], words: Sequence[str]) -> dict[str, Any]:
    """Call ``command`` with the arguments that ``words`` spell.

    Raises:
        BadInput: they do not fit its signature.
    """
    check_flags(command, words)
    import tyro

    mistakes = io.StringIO()
    try:
        with contextlib.redirect_stderr(mistakes):
            run = tyro.cli(
                _deferred(command),
                args=list(words),
                prog=f"potstill {command.__name__.replace('_', '-')}",
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise BadInput(_one_line(mistakes.getvalue())) from None
    result: dict[str, Any] = run()
    return result


def check_flags(command: Callable[..., Any], words: Sequence[str]) -> None:
    """Refuse flags that ``command`` does not have, naming the nearest, before anything slow is imported."""
    hints: dict[str, Any] = {}
    for name, hint in get_type_hints(command).items():
        hints |= get_type_hints(hint) if is_dataclass(hint) else {name: hint}
    known = {"--help"} | {f"--{name}" for name in hints} | {f"--no-{name}" for name in hints if hints[name] is bool}
    known = {flag.replace("_", "-") for flag in known}
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in known:
            raise unknown("flag", word.partition("=")[0], sorted(known))


def show(result: dict[str, Any]) -> None:
    """Print a command's result for people: its table, if it has one, then a line for everything else."""
    from rich.console import Console
    from rich.table import Column, Table

    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if told else WIDTH_OF_FILES)
    rest = dict(result)
    code = rest.pop("code", [])
    for line in rest.pop("commands", []):
        print(line)  # not wrapped: it is there to be copied
    for rows in (rest.pop("table", None) or _learners(rest) or _listed(rest), rest.pop("layers", [])):
        if rows:
            table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None, header_style="bold")
            for row in rows:
                table.add_row(*(_text(cell) for cell in row.values()))
            console.print(table)
    lines = Table(box=None, show_header=False)
    for name, value in _flat(rest):
        lines.add_row(name, _text(value))
    if lines.rows:
        console.print(lines)
    for line in code:
        print(line)  # to be copied, too


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
    for name, teacher in result.pop("teachers").items():
        cells = {"network": f"{name} (frozen)", "parameters": "", "last epoch": describe(of_teacher(teacher))}
        rows.append({**cells, "best epoch": ""})
    return rows


def _listed(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The losses or the tables there are, as a table."""
    listed = result.pop("losses", {}) or result.pop("tables", {})
    # As text: a year is no number to be grouped in thousands.
    return [{"name": name, **{k: "" if v is None else str(v) for k, v in row.items()}} for name, row in listed.items()]


def _flat(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The entries of nested dictionaries; lists of numbers only matter to machines."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += _flat(value) if isinstance(value, dict) else [] if isinstance(value, list) else [(name, value)]
    return found


def _deferred(command: Callable[..., dict[str, Any]]) -> Callable[..., Callable[[], dict[str, Any]]]:
    """A function of the same signature that only binds its arguments, so that the command itself runs unwatched."""

    def bind(*args: Any, **kwargs: Any) -> Callable[[], dict[str, Any]]:
        return lambda: command(*args, **kwargs)

    bind.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    bind.__doc__, bind.__name__ = command.__doc__, command.__name__
    bind.__annotations__ = get_type_hints(command)
    return bind


def _one_line(box: str) -> str:
    """The parser's complaint without the box drawn around it."""
    words = " ".join(re.sub(r"(?m)^[\s|+─-╿]+|[\s|+─-╿]+$|-{3,}|─{3,}", " ", box).split())  # of any encoding
    words = re.split("For full helptext|Argument helptext", words)[0]
    words = re.sub(r"^Invalid choice (?=invalid choice)", "", words)  # the box's title, and its text
    return re.sub(r"^(Value error )?Error parsing (training: )?", "", words).strip()


def _complain(error: object, code: int) -> int:
    print(f"potstill: {error}", file=sys.stderr)
    return code
