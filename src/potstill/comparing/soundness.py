"""Whether methods can be trained with a pair of networks: found out before anything trains, in one sentence each."""

import contextlib
import io
from collections.abc import Callable, Sequence

from potstill import recipes
from potstill.batch import as_batch
from potstill.comparing.comparison import ALONE, Comparison
from potstill.comparing.methods import Method
from potstill.engine.only_checked import ready_to_train
from potstill.errors import BadInput
from potstill.tables.row import Row

STAGED = ("two-stage",)
"""Recipes whose first stage trains a part of the student alone."""


def trouble_of(comparison: Comparison) -> dict[str, str]:
    """Why methods cannot be compared, by their names; those that can are not in it.

    Raises:
        BadInput: the student alone cannot be trained.
    """
    rows = {row.name: row for row in comparison.table.rows()}
    with contextlib.redirect_stderr(io.StringIO()):  # what each run will say for itself
        idle = _untrained(rows.pop(ALONE), comparison)
        found = {}
        for name, row in rows.items():
            try:
                left = [parameter for parameter in _untrained(row, comparison) if parameter not in idle]
            except BadInput as error:
                found[name] = str(error)
                continue
            if left:
                found[name] = (
                    f"it does not train the whole student: nothing reaches {left[-1]}"
                    + (f" and {len(left) - 1} more; " if len(left) > 1 else "; ")
                    + 'put a term of what the student answers beside it, as in "CE; ..."'
                )
    return found


def without_teacher(methods: Sequence[Method]) -> list[str]:
    """The methods that need a teacher."""
    return [method.name for method in methods if method.usual.recipe in ("distill", "two-stage")]


def _untrained(row: Row, comparison: Comparison) -> list[str]:
    """The student's parameters that a row's terms do not reach, though they are to learn.

    Raises:
        BadInput: its recipe, or `fit`, refuses its arguments.
    """
    recipe: Callable[..., object] = getattr(recipes, row.recipe.replace("-", "_"))
    distiller, data = ready_to_train(recipe, **row.arguments, **row.training, **comparison.machine)
    if row.recipe in STAGED:
        return []
    example = data.example()
    distiller.to(as_batch(example)["images"].device)
    total, _ = distiller(example)
    if total.requires_grad:
        total.backward()
    student = distiller.networks["student"]
    return [name for name, value in student.named_parameters() if value.requires_grad and value.grad is None]
