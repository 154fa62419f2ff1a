"""One guard around foreign code: a user's networks, losses, recipes, loaders, and whatever else is not ours.

Its errors are the user's to read: one line with the file and the line of the code that raised, and no traceback.
"""

import functools
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from potstill.errors import BadInput, TrainingFailed, first_line
from potstill.signals import Terminated

Result = TypeVar("Result")

OURS = str(Path(__file__).parent)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Run code that is not ours inside the ``with`` block.

    An error that our own code raised outside of any foreign code stays what it is: it is no fault of the user's.

    Args:
        what: what is run, for the message: "network 'net.py:Net'".

    Raises:
        BadInput: it raised anything, ``SystemExit`` included; the message is one line.

    >>> with foreign("own loss"):
    ...     raise TypeError("unhashable")
    Traceback (most recent call last):
    potstill.errors.BadInput: own loss failed: TypeError: unhashable (<doctest potstill.guard.foreign[0]>, line 2)
    """
    try:
        yield
    except (BadInput, TrainingFailed, Terminated):
        raise
    except (Exception, SystemExit) as error:
        if is_ours(error):
            raise
        raise BadInput(f"{what} failed: {describe(error)}") from error


def guarded(function: Callable[..., Result], what: str) -> Callable[..., Result]:
    """The same function inside `foreign`."""

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Result:
        with foreign(what):
            return function(*args, **given)

    return call


def describe(error: BaseException) -> str:
    """An error in one line: its kind, its message, and where in the user's code it arose, if it did."""
    if isinstance(error, SystemExit):
        words = f"it called exit({error.code!r})"
    else:
        words = f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__
    frame = next((frame for frame in reversed(_frames(error)) if not _is_known(frame.filename)), None)
    return words if frame is None else f"{words} ({frame.filename}, line {frame.lineno})"


def is_ours(error: BaseException) -> bool:
    """Whether the code that raised is ours, called by nobody else's: a fault of this package."""
    frames = _frames(error)
    users = any(not _is_known(frame.filename) for frame in frames[1:])
    return bool(frames) and frames[-1].filename.startswith(OURS) and not users


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _is_known(filename: str) -> bool:
    """Whether a file is ours or a library's."""
    return filename.startswith((OURS, "<frozen", *LIBRARIES))
