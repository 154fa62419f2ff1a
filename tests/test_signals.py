"""What is asked to end ends without noise; the rest of it is in tests/engine/test_stopping.py."""

import multiprocessing
import os
import socket
import sys
import time
from multiprocessing import reduction, resource_sharer

import pytest

from potstill import signals

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def hand_over_to_nobody() -> None:
    """In a worker: offer a file, as torch does with a batch, to a process that is gone before it has taken it."""
    reduction.DupFd(sys.stdin.fileno() if sys.stdin.isatty() else os.open(os.devnull, os.O_RDONLY))
    with socket.socket(socket.AF_UNIX) as taker:
        taker.connect(resource_sharer._resource_sharer._address)
    time.sleep(0.5)


def fail_in_a_thread() -> None:
    import threading

    threading.Thread(target=lambda: sys.excepthook(ValueError, ValueError("of its own"), None)).start()


@needs_fork
@pytest.mark.parametrize(("what", "said"), [(hand_over_to_nobody, ""), (fail_in_a_thread, "ValueError: of its own\n")])
def test_a_worker_that_is_cut_off_by_the_end_of_its_parent_says_nothing(capfd, what, said, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)  # torch puts ranks before lines, once there are some
    with signals.handled():
        child = multiprocessing.get_context("fork").Process(target=what)
        child.start()
        child.join(20)
    assert child.exitcode == 0
    assert capfd.readouterr().err == said
