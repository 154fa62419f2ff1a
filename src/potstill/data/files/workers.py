"""The processes that decode images: they end with the one that reads them, and that ends with one clear line."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch.utils.data import DataLoader

from potstill.errors import TrainingFailed
from potstill.signals import kill_with_parent


def alive(loader: DataLoader[Any]) -> Iterator[Any]:
    """What the loader gives, with one clear line if a worker is killed: by the system, mostly, for want of memory."""
    made = iter(loader)
    while True:
        try:
            yield next(made)
        except StopIteration:
            return
        except RuntimeError as error:
            if not re.search(r"worker \(pid.*\) (exited|is killed)", str(error)):
                raise
            reason = "the machine may have run out of memory: give fewer --workers, or a smaller --batch-size"
            raise TrainingFailed(f"a process that decodes images was killed; {reason}") from error


def first_thing() -> Callable[[int], None]:
    """What a worker does first: end with the process that reads the images, however it ends, and never before it."""
    # The kernel watches the thread that starts the workers, and only the main one lives as long as the process.
    in_main = threading.current_thread() is threading.main_thread()
    return partial(_end_with, os.getpid() if in_main else None)


def _end_with(parent: int | None, _worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to all of a terminal's processes
    if parent is not None:
        kill_with_parent(signal.SIGKILL, parent)
