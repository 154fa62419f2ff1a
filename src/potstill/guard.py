"""One guard around foreign code: a user's networks, losses, recipes, loaders, and whatever else is not ours.

Its errors are the user's to read: one line with the file and the line of the code that raised, and no traceback.
"""

import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from potstill.errors import BadInput, TrainingFailed
from potstill.signals import Terminated

Result = TypeVar("Result")
OURS = str(Path(__file__).parent)
NETWORKS = str(Path(__file__).parent / "networks")
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@contextmanager
def foreign(what: str | Callable[[], str]) -> Iterator[None]:
    """Run code that is not ours inside the ``with`` block.

    An error that our own code raised outside of any foreign code stays what it is: it is no fault of the user's. Nor is
    it that memory is exhausted.

    Args:
        what: what is run, for the message: "network 'net.py:Net'"; or what gives that, called only if it fails.

    Raises:
        BadInput: it raised anything, ``SystemExit`` included; the message is one line.

    >>> with foreign("own loss"):
    ...     raise TypeError("unhashable")
    Traceback (most recent call last):
    potstill.errors.BadInput: own loss failed: TypeError: unhashable (<doctest potstill.guard.foreign[0]>, line 2)
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        _translate(error, what)
        raise


def guarded(what: str | Callable[[], str], function: Callable[..., Result], *inputs: Any) -> Result:
    """What ``function`` returns for ``inputs``, run as in `foreign`: for what is called in every step.

    >>> guarded("own transform", len, 3)
    Traceback (most recent call last):
    potstill.errors.BadInput: own transform failed: TypeError: object of type 'int' has no len()
    """
    try:
        return function(*inputs)
    except (Exception, SystemExit) as error:
        _translate(error, what)
        raise


def _translate(error: BaseException, what: str | Callable[[], str]) -> None:
    """Raise ``BadInput`` in the place of an error that is the user's; return for any other."""
    if isinstance(error, BadInput | TrainingFailed | Terminated) or is_ours(error) or is_out_of_memory(error):
        return
    raise BadInput(f"{what() if callable(what) else what} failed: {describe(error)}") from error


def describe(error: BaseException, with_kind: bool = True) -> str:
    """An error in one line: its kind, its message, and where in the user's code it arose, if it did."""
    message = _message(error)
    if isinstance(error, SystemExit):
        words = f"it called exit({error.code!r})"
    elif message and not with_kind:
        words = message
    else:
        words = ": ".join(word for word in (type(error).__name__, message) if word)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{words} ({error.filename}, line {error.lineno})"
    frame = next((frame for frame in reversed(_frames(error)) if not _is_known(frame.filename)), None)
    return words if frame is None else f"{words} ({frame.filename}, line {frame.lineno})"


def is_ours(error: BaseException) -> bool:
    """Whether the code that raised is ours, called by nobody else's: a fault of this package.

    What torch says of shapes inside one of our networks is not: they are the user's choice. An exit that our own code
    asks for, on a signal, always is.
    """
    frames = _frames(error)
    if not frames or not frames[-1].filename.startswith(OURS):
        return False
    if isinstance(error, SystemExit):
        return True
    if len(frames) == 1 + (frames[0].name == foreign.__name__) and frames[0].filename == __file__:
        return False  # the call itself: a function of other arguments, or one that is written in C
    of_shapes = isinstance(error, RuntimeError) and frames[-1].filename.startswith(NETWORKS)
    return not of_shapes and all(_is_known(frame.filename) for frame in frames[1:])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory is exhausted, of the machine or of a GPU; torch need not be imported to ask."""
    of_torch = type(error).__name__ == "OutOfMemoryError" or "allocate memory" in _message(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and of_torch)


def _message(error: BaseException) -> str:
    """The first line of an error's message that says anything; nothing if it cannot even be printed."""
    try:
        lines = str(error).splitlines()
    except Exception:  # somebody else's __str__
        return ""
    # The last words of a SyntaxError are its file and line, which are told apart from it.
    if isinstance(error, SyntaxError) and error.msg:
        lines = str(error.msg).splitlines()
    return next((line.strip() for line in lines if line.strip()), "")


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _is_known(filename: str) -> bool:
    """Whether a file is ours or a library's."""
    return filename.startswith((OURS, "<frozen", *LIBRARIES))
