"""Potstill: knowledge distillation for image classifiers.

Six concepts: networks, taps, losses, terms, the distiller, recipes. Everything here is loaded when first used, so that
``import potstill`` and the command line's help cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from potstill import data, losses, networks, recipes, schedules
    from potstill.distiller import Distiller, freeze
    from potstill.engine.evaluate import evaluate
    from potstill.engine.fit import fit
    from potstill.runs.trust import trusted
    from potstill.teacher import Teacher
    from potstill.term import Term
    from potstill.term_strings import terms
    from potstill.training import Training

__version__ = "0.2.0"
__all__ = [
    "Distiller",
    "Teacher",
    "Term",
    "Training",
    "data",
    "evaluate",
    "fit",
    "freeze",
    "losses",
    "networks",
    "recipes",
    "schedules",
    "terms",
    "trusted",
]

_HOMES = {
    "Distiller": "potstill.distiller",
    "Teacher": "potstill.teacher",
    "Term": "potstill.term",
    "freeze": "potstill.distiller",
    "evaluate": "potstill.engine",
    "fit": "potstill.engine",
    "Training": "potstill.training",
    "terms": "potstill.term_strings",
    "trusted": "potstill.runs.trust",
}


def __getattr__(name: str) -> object:
    """Import a public name where it lives, the first time it is asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"potstill.{name}")
    raise AttributeError(f"module 'potstill' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, which exist before they are asked for, and what every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
