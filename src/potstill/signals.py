"""Ending when asked to: SIGINT and SIGTERM wait for the end of a step, so that it can be saved.

Nothing here imports torch: the command line answers a signal from its first moment on.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

AGAIN_SECONDS = 0.05
GRACE_SECONDS = 0.5  # within which a second signal is the first one again: a terminal and a parent may both pass it on


class Interrupted(KeyboardInterrupt):
    """SIGINT has come."""

    said = False  # whether the user knows what was saved


class Terminated(SystemExit):
    """SIGTERM, or SIGHUP, has come. Uncaught, it ends the program with exit code 128 + the signal.

    >>> Terminated(signal.SIGTERM).code
    143
    """

    said = False

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


ENDINGS = (Interrupted, Terminated)


class _Watch:
    """Who is asked to end, and when that suits."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.busy = 0  # how many `deferred` blocks we are in
        self.received: int | None = None
        self.at = 0.0
        self.ending = False
        self.hook = sys.unraisablehook

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            _as_ever(number)
        elif self.received is None:
            self.received, self.at = number, time.monotonic()
            if not self.busy:
                raise self.exception()
        elif time.monotonic() - self.at > GRACE_SECONDS:
            os._exit(128 + number)

    def exception(self) -> Interrupted | Terminated:
        """What the signal raises."""
        assert self.received is not None
        return exception_of(self.received)

    def unraisable(self, lost: "sys.UnraisableHookArgs") -> None:
        """Ask once more, a moment later, where Python has dropped what was raised: it was in somebody's ``__del__``."""
        if not isinstance(lost.exc_value, ENDINGS) or self.received is None:
            self.hook(lost)
            return
        number, self.received = self.received, None
        threading.Timer(AGAIN_SECONDS, os.kill, (self.process, number)).start()


_watch: _Watch | None = None


@contextmanager
def handled() -> Iterator[None]:
    """Have signals end what is inside: at once, but not in the middle of a `deferred` block. A second one kills.

    SIGINT raises `Interrupted`, SIGTERM and SIGHUP raise `Terminated`. Outside of the main thread, and inside another
    such block, nothing changes. SIGHUP stays ignored where it is: ``nohup``.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    _watch = _Watch()
    before = {number: signal.signal(number, _watch) for number in numbers}
    sys.unraisablehook, hook = _watch.unraisable, sys.unraisablehook
    try:
        yield
    except BaseException as error:
        if (asked := instead_of(error)) is not error:
            raise asked from error
        raise
    finally:
        _watch, sys.unraisablehook = None, hook
        for number, handler in before.items():
            if handler is not None:  # not set from Python: it cannot be put back
                signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Finish what is inside before a signal is answered, at the end of the block."""
    watch = _watch
    if watch is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch.busy += 1
    try:
        yield
    finally:
        watch.busy -= 1
    # Also if it was raised before: whoever swallowed that did not know what it meant.
    if not watch.busy and watch.received is not None and not watch.ending:
        raise watch.exception()


def asked() -> Interrupted | Terminated | None:
    """What the signal raises that has come, if one has: for those who have not heard of it."""
    return None if _watch is None or _watch.received is None else _watch.exception()


@contextmanager
def at_once() -> Iterator[None]:
    """Answer signals inside of a `deferred` block as outside of any: for what may take long, and changes nothing."""
    watch = _watch
    if watch is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    busy, watch.busy = watch.busy, 0
    try:
        if watch.received is not None and not watch.ending:
            raise watch.exception()
        yield
    finally:
        watch.busy = busy


def waiting() -> int | None:
    """The signal that has come, and is answered at the end of a `deferred` block."""
    return None if _watch is None or _watch.ending else _watch.received


def exception_of(number: int) -> "Interrupted | Terminated":
    """What a signal raises.

    >>> exception_of(signal.SIGTERM).code
    143
    """
    return Interrupted() if number == signal.SIGINT else Terminated(number)


def number_of(error: BaseException) -> int:
    """The signal that an ending came from.

    >>> number_of(Terminated(signal.SIGTERM))
    15
    """
    return int(signal.Signals[name_of(error)])


def instead_of(error: BaseException) -> BaseException:
    """What has really ended a command: the signal, where what it raised came out as ``error``, out of C for example."""
    if _watch is None or _watch.received is None or _watch.ending or isinstance(error, ENDINGS):
        return error
    if getattr(error, "lost", False):  # whoever ended the other process asks this one to end as well
        return error
    return _watch.exception()


@contextmanager
def ending() -> Iterator[None]:
    """Save what there is, undisturbed, when a signal has been answered."""
    watch = _watch
    if watch is None:
        yield
        return
    watch.ending = True
    with deferred():
        yield


def name_of(error: BaseException) -> str:
    """The signal that an ending came from.

    >>> name_of(Terminated(signal.SIGTERM)), name_of(KeyboardInterrupt())
    ('SIGTERM', 'SIGINT')
    """
    code = error.code if isinstance(error, SystemExit) else None
    return signal.Signals(code - 128).name if isinstance(code, int) and code > 128 else signal.SIGINT.name


def _as_ever(number: int) -> None:
    """In a forked child that has inherited the handler, a signal does what it does without it."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _in_forked_child() -> None:
    """A worker that hands over a batch is cut off if its parent ends meanwhile: no news to anybody."""
    if _watch is None:
        return
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not (issubclass(kind, EOFError | ConnectionError) and _is_of("resource_sharer.py", trace)):
            before(kind, error, trace)

    sys.excepthook = hook


def _is_of(file: str, trace: TracebackType | None) -> bool:
    """Whether an error went through some function of a file of this name."""
    return any(frame.f_code.co_filename.rpartition(os.sep)[2] == file for frame, _ in traceback.walk_tb(trace))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)


def kill_with_parent(number: int, parent: int) -> None:
    """Have the kernel send this process a signal as soon as its parent has died, however that died; on Linux only.

    Args:
        number: the signal.
        parent: the process that should still be there.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it has died before we asked
        os.kill(os.getpid(), number)
