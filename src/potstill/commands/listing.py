"""``potstill list``: what there is, from the docstrings."""

from typing import Any, Literal

from potstill.catalogue import Card, cards, sentence


def listing(kind: Literal["losses", "networks", "recipes", "data"], /) -> dict[str, Any]:
    """List what there is of a kind: losses with their papers, taps and trained parts, one line each of the others.

    Args:
        kind: losses, networks, recipes or data.
    """
    if kind == "losses":
        return {kind: {card.name: _loss(card) for card in cards()}}
    rows: dict[str, str] = {}
    if kind == "networks":
        from potstill.networks.built_in import listing as built_in

        rows = {name: sentence for name, sentence, _paper in built_in()}
        rows["timm:NAME"] = "Any classifier of timm."
        rows["torchvision:NAME"] = "Any classifier of torchvision."
        rows["package.module:callable"] = "Your own, also file.py:callable, or a run folder."
    elif kind == "recipes":
        from potstill import recipes

        rows = {name: sentence(getattr(recipes, name)) for name in recipes.__all__}
    elif kind == "data":
        from potstill.data import listing as data_sets

        rows = data_sets()
    return {kind: rows}


def _loss(card: Card) -> dict[str, Any]:
    """A loss in the columns of docs/losses."""
    paper, year = (str(card.paper), card.paper.year) if card.paper else ("", None)
    return {"paper": paper, "year": year, "knowledge": card.knowledge, "taps": card.taps, "trained parts": card.trained}
