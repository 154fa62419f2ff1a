"""``potstill describe LOSS``: what a method is, from its docstring."""

from typing import Any

import potstill as ps


def describe_loss(name: str) -> dict[str, Any]:
    """The equation of a loss, its paper, taps, arguments, and the weight that its authors give it."""
    from potstill.catalogue import arguments, paragraphs, read_card, sentence

    loss = getattr(ps.losses, name)
    card = read_card(loss)
    paper = {"paper": f"{card.paper} {card.paper.year}", "url": card.paper.url} if card.paper else {}
    shapes = next((" ".join(text.split()) for text in paragraphs(loss) if text.startswith("Shapes: ")), "")
    return {
        "loss": name,
        "about": sentence(loss),
        "equation": card.equation.split("\n"),
        **paper,
        "knowledge": card.knowledge,
        "taps of a term": card.taps,
        **({"trained parts": card.trained} if card.trained else {}),
        **({"usual weight": card.weight} if card.weight else {}),
        "alone": f"potstill {card.run}",
        "shapes": shapes.removeprefix("Shapes: "),
        "table": arguments(loss),
    }
