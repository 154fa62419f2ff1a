"""Write docs/losses: an index table and a page for each loss, all from docstrings and signatures.

    python tools/write_loss_docs.py [docs/losses]

Run it after every change of a loss's docstring or arguments; a test compares.
"""

import inspect
import re
import sys
import textwrap
from pathlib import Path

import potstill as ps
from potstill.catalogue import Card, cards, paragraphs

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import section
from links import linked
from method_lines import told

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "losses"
ORIGIN = "Written by `tools/write_loss_docs.py` from the docstring; change it there."


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The Markdown of every page by the name of its file."""
    found = cards()
    return {"README.md": index(found)} | {f"{card.name}.md": page(card) for card in found}


def index(found: list[Card]) -> str:
    rows = [
        f"| [{card.name}]({card.name}.md) | {paper(card)} | {card.paper.year if card.paper else ''} | {card.knowledge} "
        f"| {taps(card)} | {card.trained} |"
        for card in found
    ]
    return "\n".join(
        [
            "# Losses",
            "",
            'Knowledge is called as in Gou et al., "Knowledge distillation: a survey", IJCV 2021,',
            "<https://arxiv.org/abs/2006.05525>. Taps are those that a loss takes unless a term names others;",
            "`student.stages` stands for one term a stage. [Add your own](../your-own-method.md). The same table:",
            "`potstill list losses`; those of one kind: `potstill list losses --kind responses`; one:",
            "`potstill describe KD`.",
            "",
            "| name | paper | year | knowledge | taps | trained parts |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            *textwrap.wrap(told(), 120),
            "",
            ORIGIN.replace("the docstring; change it", "the docstrings; change them"),
            "",
        ]
    )


def page(card: Card) -> str:
    loss = getattr(ps.losses, card.name)
    facts = [f"- Paper: {paper(card)} {card.paper.year}" if card.paper else None]
    facts += [f"- Knowledge: {card.knowledge}", f"- Taps: {taps(card)}"]
    facts += [f"- Trained parts: {card.trained}" if card.trained else None]
    facts += [f"- Usual weight: {card.weight}" if card.weight else None]
    facts += [f"- Source: [{source(loss)}](../../{source(loss)})"]
    texts = [text for text in paragraphs(loss) if not text.startswith(("Knowledge:", "Usual weight:"))]
    body = [section(linked(text, loss.__module__, f"losses/{card.name}.md")) for text in texts]
    parts = [
        f"# {card.name}",
        body[0],
        f"`{signature(loss)}`",
        "\n".join(fact for fact in facts if fact),
        *body[1:],
        ORIGIN,
    ]
    return "\n\n".join(parts) + "\n"


def paper(card: Card) -> str:
    if card.paper is None:
        return ""
    venue = f", {card.paper.venue}" if card.paper.venue else ""
    return f"{card.paper.authors}, [{card.paper.title}]({card.paper.url}){venue}"


def taps(card: Card) -> str:
    return re.sub(r"[\w.:]+", r"`\g<0>`", card.taps)


def signature(loss: type) -> str:
    """How to make one, with every default; a class without arguments of its own has its parent's."""
    if "__init__" not in vars(loss):
        return f"potstill.losses.{loss.__name__}()"
    arguments = [str(p.replace(annotation=p.empty)) for p in inspect.signature(loss).parameters.values()]
    return f"potstill.losses.{loss.__name__}({', '.join(arguments)})"


def source(loss: type) -> str:
    return f"src/{loss.__module__.replace('.', '/')}.py"


if __name__ == "__main__":
    main()
