"""``python -m potstill``: the command line."""

import sys

from potstill.signals import ENDINGS, handled


def run() -> int:
    """Run the command line; returns its exit code. A signal is answered before anything else has been imported."""
    with handled():
        try:
            from potstill.cli import main

            return main()
        except ENDINGS as error:  # so early that nothing has begun
            from potstill.exits import answer_to

            return answer_to(error, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
