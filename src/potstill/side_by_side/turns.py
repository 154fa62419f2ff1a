"""Runs that take turns: each goes on until it says `pass_on`, between two of its steps.

They are coroutines of one thread, so that nothing in a run has to know of the others. What a process has one of, every
run has for itself: the states of the random number generators, and the streams that it writes to.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from potstill import signals

Position = tuple[int, int]
"""The epoch and the step that a run makes next."""

_turns: "Turns | None" = None


def pass_on(position: Position) -> None:
    """Let those runs go first that are further behind; a run that is alone just goes on.

    Raises:
        KeyboardInterrupt: the process is to end; the step before this one is finished.
        SystemExit: likewise.
    """
    if _turns is not None:
        _turns.wait(position)


class Turns:
    """Takes functions through to their ends, side by side.

    A function's first turn lasts until its first `pass_on`. From then on it is always the turn of the one that is the
    furthest behind, so that runs that are alike make the same step one right after the other.

    Args:
        functions: what to run, by name; none takes arguments.
        streams: for each, where its prints and its messages go.
    """

    def __init__(self, functions: Mapping[str, Callable[[], object]], streams: Mapping[str, TextIO]) -> None:
        from greenlet import getcurrent, greenlet

        self.functions, self.streams, self.home = functions, streams, getcurrent()
        self.parts = {name: greenlet(lambda name=name: self._whole(name)) for name in functions}
        self.positions: dict[str, Position] = {}
        self.random: dict[str, Any] = {}
        self.results: dict[str, object] = {}
        self.now = ""

    def run(self) -> dict[str, object]:
        """What each function returned, or the exception that it raised.

        When a signal has come, every function is told at its next turn, as if the signal had come to it alone; those
        that have not begun do not begin, and have no result.
        """
        global _turns
        assert _turns is None, "turns within turns"
        _turns = self
        try:
            while waiting := [name for name in self.parts if name not in self.results]:
                asked = signals.asked()
                if asked is not None:
                    waiting = [name for name in waiting if name in self.positions]
                if not waiting:
                    break
                self.now = min(waiting, key=lambda name: self.positions.get(name, (-1, 0)))
                with suppress(*signals.ENDINGS):  # which came between two turns: everybody is asked
                    self._give_turn(asked)
        finally:
            _turns = None
        return self.results

    def wait(self, position: Position) -> None:
        """Inside a function: its turn is over."""
        self.positions[self.now] = position
        self.home.switch()

    def _give_turn(self, asked: BaseException | None) -> None:
        """Let the next function go on, in surroundings of its own."""
        from potstill.engine.checkpoint import random_states, restore_random_states

        part = self.parts[self.now]
        outer, streams = random_states(), (sys.stdout, sys.stderr)
        try:
            restore_random_states(self.random.get(self.now, outer))
            sys.stdout = sys.stderr = self.streams[self.now]
            part.switch() if asked is None else part.throw(asked)
        finally:
            with signals.deferred():
                sys.stdout, sys.stderr = streams
                self.streams[self.now].flush()
                self.random[self.now] = random_states()
                restore_random_states(outer)

    def _whole(self, name: str) -> None:
        try:
            self.results[name] = self.functions[name]()
        except BaseException as error:  # of one function, which is no affair of the others
            self.results[name] = error
