"""File operations under one folder, counted, and one of them that goes wrong."""

import builtins
import errno
import io
import os
import signal
from pathlib import Path


class Shim:
    """Counts what this process does to the files under ``folder``; at operation ``at``, from 1 on, something happens.

    Args:
        folder: where.
        at: at which operation; never by default.
        what: "kill": SIGKILL, half-way through if it is a write. Else the name of an error, such as "ENOSPC": this
            operation and all later ones of its kind fail with it, as on a disk that stays full.
    """

    def __init__(self, folder: Path, at: int = 0, what: str = "kill"):
        self.folder, self.at, self.what = str(folder), at, what
        self.count = 0

    def install(self) -> None:
        self.open_file = io.open
        io.open = builtins.open = self._open
        for name in ("mkdir", "unlink", "remove", "rmdir", "replace", "rename"):
            setattr(os, name, self._wrapped(getattr(os, name)))
        self.sync, os.fsync = os.fsync, self._fsync
        self.low, os.open = os.open, self._low_open

    def passes(self, write=None) -> None:
        """An operation: maybe the one; ``write`` does half of it."""
        self.count += 1
        if self.what == "kill":
            if self.count == self.at:
                if write is not None:
                    write()
                os.kill(os.getpid(), signal.SIGKILL)
        elif self.at and self.count >= self.at:
            number = getattr(errno, self.what)
            raise OSError(number, os.strerror(number))

    def inside(self, path) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder)

    def _wrapped(self, function):
        def call(path, *args, **named):
            # What removes something works on a full disk, and has to: nothing may be left behind.
            counted = self.what == "kill" or function.__name__ in ("mkdir", "replace", "rename")
            if counted and self.inside(path):
                self.passes()
            return function(path, *args, **named)

        return call

    def _fsync(self, number):
        self.passes()
        return self.sync(number)

    def _low_open(self, path, flags, *args, **named):
        if self.inside(path) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self.passes()
        return self.low(path, flags, *args, **named)

    def _open(self, file, mode="r", *args, **named):
        if not self.inside(file) or not set(mode) & set("wax+"):
            return self.open_file(file, mode, *args, **named)
        self.passes()
        return _Writer(self.open_file(file, mode, *args, **named), self)


class AtStep:
    """Sends this process a signal in the middle of a step of training, counted from 1 over all epochs and stages."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number, self.count = step, number, 0

    def install(self) -> None:
        from potstill.engine import epoch

        real = epoch.train_step

        def train_step(*arguments):
            self.count += 1
            if self.count == self.step:
                os.kill(os.getpid(), self.number)
            return real(*arguments)

        epoch.train_step = train_step


class _Writer:
    """A file whose writes are counted."""

    def __init__(self, file, shim):
        self._file, self._shim = file, shim

    def write(self, content):
        def half():
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._shim.passes(half)
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def __iter__(self):
        return iter(self._file)
