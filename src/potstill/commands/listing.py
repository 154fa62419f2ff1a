"""``potstill list``: what there is, from the docstrings."""

import inspect
from typing import Any, Literal


def listing(kind: Literal["losses", "networks", "recipes", "data"], /) -> dict[str, Any]:
    """List what there is of a kind, one line each.

    Args:
        kind: losses, networks, recipes or data.
    """
    rows: dict[str, str] = {}
    if kind == "losses":
        from potstill import losses

        rows = {name: _sentence(getattr(losses, name)) for name in losses.__all__}
    elif kind == "networks":
        from potstill.networks.built_in import listing as built_in

        rows = {name: sentence for name, sentence, _paper in built_in()}
        rows["timm:NAME"] = "Any classifier of timm."
        rows["torchvision:NAME"] = "Any classifier of torchvision."
        rows["package.module:callable"] = "Your own, also file.py:callable, or a run folder."
    elif kind == "recipes":
        from potstill import recipes

        rows = {name: _sentence(getattr(recipes, name)) for name in recipes.__all__}
    elif kind == "data":
        from potstill.data import listing as data_sets

        rows = data_sets()
    return {kind: rows}


def _sentence(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n\n")[0].replace("\n", " ")
