"""Whether the other processes of a run still live: each says so every few seconds, and none waits for a dead one."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from potstill.exit_codes import FAILED_TRAINING
from potstill.ranks.launch import Launch
from potstill.ranks.speaking import claim
from potstill.say import mute, say

BEAT_SECONDS = 3.0
SILENT_SECONDS = 30.0
"""After which a process is taken for dead; what a network does without in between."""


class Pulse:
    """Tells the others that this process lives, and ends it if one of them does not.

    It has a connection of its own to the store by which the processes met, and two threads: one talks, and one looks
    at when it last got an answer, since a machine that vanishes gives none.

    Args:
        rank: which process this is.
        size: of how many.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size, self.active = rank, size, 0
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        limit = timedelta(seconds=SILENT_SECONDS / 2)
        self.store = TCPStore(host, port, is_master=False, timeout=limit, wait_for_workers=False)
        self.name = f"potstill/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/beat/"
        self.heard = dict.fromkeys((r for r in range(size) if r != rank), time.monotonic())
        for thread in (self._talk, self._watch):
            threading.Thread(target=thread, name=f"potstill{thread.__name__}", daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """End this process if another one is not heard of, as long as it is inside."""
        self.heard = dict.fromkeys(self.heard, time.monotonic())
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    def _talk(self) -> None:
        last: dict[int, bytes] = {}
        beat = 0
        while True:
            beat += 1
            try:
                self.store.set(f"{self.name}{self.rank}", str(beat))
                for other in self.heard:
                    key = f"{self.name}{other}"
                    if self.store.check([key]) and (said := self.store.get(key)) != last.get(other):
                        last[other] = said
                        self.heard[other] = time.monotonic()
            except RuntimeError:  # the machine with the store is gone, or its process: then nobody is heard of
                return
            time.sleep(BEAT_SECONDS)

    def _watch(self) -> None:
        while True:
            time.sleep(1)
            silent = [other for other, at in self.heard.items() if time.monotonic() - at > SILENT_SECONDS]
            if self.active and silent:
                self._end(silent)

    def _end(self, silent: list[int]) -> None:
        names = ", ".join(map(str, silent))
        if claim(Launch(self.rank, self.size, 0)):
            mute(False)
            say(
                f"rank {names} of {self.size} has not been heard of for {SILENT_SECONDS:.0f} seconds: its process or "
                "machine is gone; the same command continues from the last checkpoint"
            )
        sys.stderr.flush()
        os._exit(FAILED_TRAINING)
