"""``potstill list``: what there is, from the docstrings."""

from typing import Any, Literal

from potstill.catalogue import Card, cards, sentence
from potstill.errors import BadInput


def list_kind(
    subject: Literal["losses", "networks", "recipes", "tables", "data"],
    /,
    *,
    kind: Literal["responses", "features", "relations", "labels", "self", "online"] | None = None,
) -> dict[str, Any]:
    """List what there is: losses with papers and taps, tables with sources, one line each of the others.

    Args:
        subject: losses, networks, recipes, tables or data.
        kind: only the losses of this kind: by what the student gets of the teacher (responses, features, relations), or
            from labels alone, from itself, or from networks that learn with it. Some are of several.
    """
    if kind is not None and subject != "losses":
        raise BadInput(f"--kind {kind} is of losses, not of {subject}")
    if subject == "losses":
        return {subject: {card.name: _loss(card) for card in cards() if kind is None or card.is_of(kind)}}
    if subject == "tables":
        return {subject: _tables()}
    rows: dict[str, str] = {}
    if subject == "networks":
        from potstill.networks.built_in import describe_built_in

        rows = {name: sentence for name, sentence, _paper in describe_built_in()}
        rows["timm:NAME"] = "Any classifier of timm."
        rows["torchvision:NAME"] = "Any classifier of torchvision."
        rows["hf:ORG/NAME"] = "Any image model of Hugging Face's transformers, also hf:FOLDER."
        rows["package.module:callable"] = "Your own, also file.py:callable, or a run folder."
    elif subject == "recipes":
        from potstill import recipes

        rows = {name.replace("_", "-"): sentence(getattr(recipes, name)) for name in recipes.__all__}
    elif subject == "data":
        from potstill.data import describe_data_sets

        rows = describe_data_sets()
    return {subject: rows}


def _tables() -> dict[str, dict[str, Any]]:
    """What each table shows, how many rows it has, and who published it."""
    from potstill import tables

    found = {name.replace("_", "-"): getattr(tables, name) for name in tables.__all__}
    return {
        name: {"shows": table.sentence, "rows": len(table.rows()), "published by": table.source}
        for name, table in found.items()
    }


def _loss(card: Card) -> dict[str, Any]:
    """A loss in the columns of docs/losses."""
    paper, year = (str(card.paper), card.paper.year) if card.paper else ("", None)
    return {"paper": paper, "year": year, "knowledge": card.knowledge, "taps": card.taps, "trained parts": card.trained}
