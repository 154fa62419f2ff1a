"""Calling a recipe for its checks alone: what `fit` refuses is refused, and then nothing is written or trained."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from potstill.data.data import Data
from potstill.distiller import Distiller

_only_checks: ContextVar[bool] = ContextVar("only_checks", default=False)


class WouldTrain(Exception):
    """`fit` has nothing against this training."""

    def __init__(self, distiller: Distiller, data: Data) -> None:
        super().__init__()
        self.distiller, self.data = distiller, data


def ready_to_train(recipe: Callable[..., Any], **arguments: Any) -> tuple[Distiller, Data]:
    """What a recipe would train first, and on which data, once all checks before a run's folder is made are passed.

    Raises:
        BadInput: what the recipe, or `fit`, has to say against these arguments.
    """
    token = _only_checks.set(True)
    try:
        recipe(**arguments)
    except WouldTrain as found:
        return found.distiller, found.data
    finally:
        _only_checks.reset(token)
    raise AssertionError("a recipe that trains nothing")


def only_checked() -> bool:
    """Whether a recipe was called by `ready_to_train`: what it would find out and keep before training, it leaves."""
    return _only_checks.get()


def unless_only_checked(distiller: Distiller, data: Data) -> Data:
    """The data; but a recipe that was called by `ready_to_train` ends here."""
    if only_checked():
        raise WouldTrain(distiller, data)
    return data
