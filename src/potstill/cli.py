"""The command line: a command is a function, its flags are the function's arguments.

Nothing here imports torch, so that help and a mistyped flag answer at once.
"""

import inspect
import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from potstill.errors import BadInput, unknown
from potstill.exit_codes import BAD_INPUT, CODES, FAILED_TRAINING
from potstill.exits import answer_to
from potstill.flags import Command, call
from potstill.guard import foreign
from potstill.ranks.command_line import gather, one_voice
from potstill.runs.recording import recipe
from potstill.runs.trust import trusted
from potstill.say import say
from potstill.showing import show
from potstill.signals import handled, instead_of
from potstill.strict_json import plain, strict
from potstill.unread import silent_when_unread

EVERYWHERE = ("--json", "--trust")
RUN_HELP = """usage: potstill run FILE.py[:function] [--flags] [--json]

Run a recipe of your own: a function in a file, or in an importable module (package.module:function).

Without :function, it is the file's main. Its arguments, with type hints, are the flags; its docstring is the help.

  import potstill as ps

  def main(*, student: str = "resnet20", training: ps.Training = ps.Training()) -> dict:
      \"\"\"Train a student in a way of my own.\"\"\"
      ...

potstill run FILE.py --help tells that recipe's flags."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, see `potstill.exit_codes.CODES`.

    Raises:
        SystemExit: help has been printed, or nobody reads the output any more.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that has no such character
    with silent_when_unread(), handled(), one_voice(), trusted() if "--trust" in words else nullcontext():
        return answer([word for word in words if word not in EVERYWHERE], "--json" in words)


def answer(words: Sequence[str], as_json: bool) -> int:
    """Run one command and print its result, or what is wrong; returns its exit code."""
    try:
        command = find_command(words, as_json)
        gather(command[0])
        # What somebody's network prints is no part of the JSON.
        aside = as_json and not {"-h", "--help"}.intersection(words)
        with redirect_stdout(sys.stderr) if aside else nullcontext():
            result = call(*command)
        if as_json:
            print(strict(result))
        elif result is not None:
            show(plain(result if isinstance(result, dict) else {"result": result}))
    except BaseException as error:
        return answer_to(instead_of(error), words)
    if isinstance(result, dict) and isinstance(failed := result.get("failed"), dict) and failed:
        say(f"runs that failed: {len(failed)}")
        return FAILED_TRAINING
    if wrong := isinstance(result, dict) and result.get("wrong"):
        say(f"faults found: {wrong if isinstance(wrong, int) else len(wrong)}")
        return BAD_INPUT
    return 0


def commands() -> dict[str, Command]:
    """Every command by name: the recipes, and the rest."""
    from potstill import commands, recipes

    found = {name.replace("_", "-"): getattr(recipes, name) for name in recipes.__all__}
    return {"demo": commands.demo, "check": commands.check, **found} | {
        "evaluate": commands.evaluate,
        "predict": commands.predict,
        "describe": commands.describe,
        "export": commands.export,
        "push": commands.push,
        "table": commands.table,
        "compare": commands.compare,
        "report": commands.report,
        "verify": commands.verify,
        "list": commands.list_kind,
    }


def find_command(words: Sequence[str], as_json: bool = False) -> tuple[str, Command, list[str]]:
    """What the first words name: a command's name, its function, and the words that are left for it.

    Raises:
        BadInput: there is no such command, or no such recipe of one's own.
        SystemExit: they ask for help or the version, which has been printed.
    """
    known = commands()
    if not words or words[0] in ("-h", "--help"):
        print(overview(known))
        raise SystemExit(0)
    if words[0] == "--version":
        import potstill

        print(strict({"version": potstill.__version__}) if as_json else f"potstill {potstill.__version__}")
        raise SystemExit(0)
    if words[0] == "run":
        return find_own_recipe(words[1:])
    if words[0] not in known:
        raise unknown("command", words[0], [*known, "run"])
    return words[0], known[words[0]], list(words[1:])


def find_own_recipe(words: Sequence[str]) -> tuple[str, Command, list[str]]:
    """The same for what follows ``run``: the first word is the file and the function in it.

    Raises:
        BadInput: there is no such file or function.
        SystemExit: the first word asks for help, which has been printed.
    """
    from potstill.user_code import find_callable

    if words and words[0] in ("-h", "--help"):
        print(RUN_HELP)
        raise SystemExit(0)
    if not words or words[0].startswith("-"):
        instead = f", not {words[0]}" if words else ""
        raise BadInput(f"run needs a file first{instead}: potstill run FILE.py[:function] [--flags]")
    path, _, function = words[0].partition(":")
    with foreign(f"recipe {words[0]}"):
        own: Command = find_callable(path, function or "main", "recipe")
    named = recipe(foreign(f"recipe {words[0]}")(own), function or Path(path).stem)
    return f"run {words[0]}", named, list(words[1:])


def overview(known: Mapping[str, Command]) -> str:
    """The text of ``potstill --help``."""
    rows = {name: (inspect.getdoc(function) or "").split("\n")[0] for name, function in known.items()}
    rows["run"] = "Run a recipe of your own: potstill run FILE.py[:function] [--flags]."
    lines = [f"  {name:<12} {sentence}" for name, sentence in rows.items()]
    codes = ["\nExit codes:", *(f"  {code:<4} {meaning}" for code, meaning in CODES.items())]
    head = "usage: potstill COMMAND [--flags] [--json] [--trust]\n\nKnowledge distillation for image classifiers.\n"
    return "\n".join([head, *lines, "\npotstill COMMAND --help tells a command's flags.", *codes])
