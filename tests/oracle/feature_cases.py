"""Loss cases of the methods that compare features."""

from collections.abc import Callable

from oracle.case import Case
from oracle.computed import Computed, Inputs

LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {}
