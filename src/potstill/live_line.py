"""A line on stderr that a terminal rewrites, with plain lines above it."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from potstill.text import printable


class LiveLine:
    """Used in a ``with`` statement; subclasses update ``live`` where ``console`` is a terminal, and say the rest."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        self.live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def say(self, line: str) -> None:
        """Print a line above the live one."""
        self.console.print(unstyled(line), soft_wrap=True)


def unstyled(text: str) -> Text:
    """Text for a terminal, in which nothing is markup: what rich is given instead of a string."""
    return Text(printable(text))
