"""Cross products that take minutes: a drawn part in CI, and all of them with ``POTSTILL_WHOLE=1``."""

import os
import random
from collections.abc import Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")
WHOLE = bool(os.environ.get("POTSTILL_WHOLE"))

by_hand = pytest.mark.skipif(not WHOLE, reason="takes half a minute: by hand, with POTSTILL_WHOLE=1")
"""Marks a test that CI leaves out, for its time alone."""


def drawn(cases: Iterable[T], count: int) -> list[T]:
    """``count`` of the cases in their order, the same ones every time; all of them if the environment says so."""
    cases = list(cases)
    if WHOLE:
        return cases
    return [cases[i] for i in sorted(random.Random(13).sample(range(len(cases)), count))]
