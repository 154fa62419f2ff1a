"""How a command ends that does not end well: one line on stderr, and an exit code that says what kind it was."""

import os
import sys
import time
import traceback
from collections.abc import Sequence

from potstill.errors import BadInput, TrainingFailed, first_line, shortened
from potstill.exit_codes import BAD_INPUT, FAILED_TRAINING, FAULT, INTERRUPTED
from potstill.guard import is_out_of_memory
from potstill.ranks.command_line import last_word
from potstill.say import say
from potstill.signals import Interrupted, Terminated, name_of
from potstill.text import printable
from potstill.unread import unread


def answer_to(error: BaseException, words: Sequence[str]) -> int:
    """Say in one line what has ended a command; its exit code.

    Args:
        error: what it raised.
        words: the command line, for the record of a fault.

    Raises:
        BaseException: ``error``, where it is an exit that was asked for, or the reader of our output has gone.
    """
    if isinstance(error, Exception):
        last_word()
    if isinstance(error, BadInput | TrainingFailed):
        say(str(error))
        return BAD_INPUT if isinstance(error, BadInput) else FAILED_TRAINING
    if isinstance(error, KeyboardInterrupt | Terminated):
        if not (isinstance(error, Interrupted | Terminated) and error.said) and last_word():
            say(f"stopped by {name_of(error)}; the same command continues")
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else int(str(error.code))
    if isinstance(error, BrokenPipeError) and unread():
        raise error
    if is_out_of_memory(error):
        say(f"out of memory ({first_line(error) or 'of this machine'}); a smaller --batch-size needs less")
        return FAILED_TRAINING
    if isinstance(error, OSError):
        reason = error.strerror or first_line(error) or type(error).__name__
        say(shortened(f"{error.filename or 'file'}: {reason}"))
        return BAD_INPUT
    if not isinstance(error, Exception):
        raise error
    return _report(error, words)


def _report(error: Exception, words: Sequence[str]) -> int:
    """Write a fault's traceback into a file of its own, and say where it is and who wants it."""
    import tempfile  # takes a while, for what never happens

    torch = sys.modules.get("torch")
    lines = [
        f"{time.strftime('%Y-%m-%d %H:%M:%S')}: potstill {' '.join(words)}",
        f"python {sys.version}, torch {getattr(torch, '__version__', 'not loaded')}, {sys.platform}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    text = "\n".join(lines)
    said = first_line(error)
    said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    try:
        number, name = tempfile.mkstemp(prefix="potstill-fault-", suffix=".txt", text=True)
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:  # no place to write: then it is said in full
        print("\n".join(map(printable, text.splitlines())), file=sys.stderr)
        name = "the lines above"
    say(f"this is a fault of potstill's own: {said}; please report it {_where()} with {name}")
    return FAULT


def _where() -> str:
    """The address of the project's issues, if it is known to this installation."""
    from importlib import metadata

    try:
        urls = metadata.metadata("potstill").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        urls = []
    address = next((url.partition(", ")[2] for url in urls if url.lower().startswith("issues")), None)
    return f"at {address}" if address else "to the project"
