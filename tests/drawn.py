"""Cross products that take minutes: a drawn part in CI, and all of them with ``POTSTILL_WHOLE=1``."""

import os
import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def drawn(cases: Iterable[T], count: int) -> list[T]:
    """``count`` of the cases in their order, the same ones every time; all of them if the environment says so."""
    cases = list(cases)
    if os.environ.get("POTSTILL_WHOLE"):
        return cases
    return [cases[i] for i in sorted(random.Random(13).sample(range(len(cases)), count))]
