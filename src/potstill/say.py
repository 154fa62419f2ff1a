"""Messages that are no result."""

import sys

from potstill.text import message

_muted = False


def mute(muted: bool) -> None:
    """Say nothing from now on, or do so again: of several processes that do the same, one is enough."""
    global _muted
    _muted = muted


def say(sentence: str) -> None:
    """Say something on stderr, in one line."""
    if _muted:
        return
    print(f"potstill: {message(sentence)}", file=sys.stderr)
