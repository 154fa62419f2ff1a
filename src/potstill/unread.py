"""What happens when nobody reads our output any more: ``potstill list losses | head -1``."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from typing import TextIO

UNREAD = 1  # the exit code, as in Python's documentation of SIGPIPE


@contextmanager
def silent_when_unread() -> Iterator[None]:
    """End the program without a word if the reader of its output or of its messages goes away inside the block.

    A broken pipe to anything else, a process of our own for example, stays an error.

    Raises:
        SystemExit: the reader has gone.
    """
    try:
        try:
            yield
        finally:
            # Not only when the interpreter ends, where nobody can catch what goes wrong.
            for stream in _streams():
                stream.flush()
    except BrokenPipeError:
        streams = unread()
        if not streams:
            raise
        for stream in streams:
            _send_nowhere(stream)
        raise SystemExit(UNREAD) from None


def unread() -> list[TextIO]:
    """Those of the standard streams that nobody reads."""
    return [stream for stream in _streams() if _is_unread(stream)]


def _streams() -> list[TextIO]:
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _is_unread(stream: TextIO) -> bool:
    """Whether the stream is a pipe whose other end is closed; asked without writing, which may succeed by chance."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except UnsupportedOperation:  # it is no file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _send_nowhere(stream: TextIO) -> None:
    """Let what is left in the stream be written without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
