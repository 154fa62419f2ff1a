"""Messages that are no result."""

import sys

from potstill.text import message


def say(sentence: str) -> None:
    """Say something on stderr, in one line."""
    print(f"potstill: {message(sentence)}", file=sys.stderr)
