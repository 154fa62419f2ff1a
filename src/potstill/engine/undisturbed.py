"""Looking at something while a run trains, without a trace in its random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

from potstill.engine.checkpoint import random_states, restore_random_states


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is drawn inside, of torch's, numpy's or Python's random numbers, they go on after it as before."""
    before = random_states()
    try:
        yield
    finally:
        restore_random_states(before)
