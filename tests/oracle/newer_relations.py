"""Newer relations, and conventions of known ones: each case is computed from its settings, never by its name."""

from collections.abc import Callable

from oracle.case import Case
from oracle.computed import Computed, Inputs

LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {}
RECORDS: dict[str, Callable[[Case], None]] = {}
