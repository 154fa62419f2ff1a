"""Messages that are no result."""

import sys


def say(sentence: str) -> None:
    """Say something on stderr."""
    print(f"potstill: {sentence}", file=sys.stderr)
