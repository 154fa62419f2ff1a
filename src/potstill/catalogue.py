"""What the docstrings say, as data: the table of losses that docs/losses and ``potstill list losses`` show."""

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import potstill as ps

if TYPE_CHECKING:
    from torch import nn

CITATION = re.compile(
    r'(?:^|(?<=\. ))(?P<authors>[A-Z][^".]*(?: et al\.)?), "(?P<title>[^"]+)", (?:(?P<venue>[A-Za-z ]+) )?'
    r"(?P<year>\d{4})\b.*?(?P<url>https?://[^\s)]+)"
)
KNOWLEDGE = re.compile(r"^Knowledge: (?P<kind>[^.]+)\.(?: Trained parts: (?P<trained>[^.]+)\.)?$")
WEIGHT = re.compile(r"^Usual weight: (.+)\.$")
WEIGHT_ITSELF = re.compile(r"\d[\d.]*(?:e-?\d+)?|\w+\([^)]*\)")
OWN_RECIPE = re.compile(r"\bThe recipe ``([a-z-]+)`` makes ")
ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)
KINDS = ("responses", "features", "relations", "labels", "self", "online")


@dataclass(frozen=True)
class Paper:
    """Where a loss comes from; ``venue`` is empty for what appeared as a preprint only."""

    authors: str
    title: str
    venue: str
    year: int
    url: str

    def __str__(self) -> str:
        return f'{self.authors}, "{self.title}"' + (f", {self.venue}" if self.venue else "")


@dataclass(frozen=True)
class Card:
    """A loss in one row of a table.

    ``knowledge`` is what the student gets from the teacher, in the terms of Gou et al., "Knowledge distillation: a
    survey", IJCV 2021, https://arxiv.org/abs/2006.05525: responses, features or relations. ``taps`` are the addresses
    that the loss takes unless told otherwise, ``trained`` the parts that its ``build`` makes, ``weight`` what its
    authors weigh it with, all as text; ``equation`` is of several lines; ``own_recipe`` is the only one it is for.
    """

    name: str
    paper: Paper | None
    knowledge: str
    taps: str
    trained: str
    weight: str
    equation: str
    own_recipe: str = ""

    @property
    def run(self) -> str:
        """How a network is trained by this loss alone, at its usual weight, as a command line without the networks.

        >>> [card.run for card in cards() if card.name in ("DKD", "ONE", "PSKD")]
        ['distill --terms "warmup(1, 20) * DKD"', 'native-ensemble', 'supervised --terms "1 * PSKD"']
        """
        if self.own_recipe:
            return self.own_recipe
        weight = WEIGHT_ITSELF.match(self.weight)
        recipe = "distill" if "teacher" in self.taps else "supervised"
        return f'{recipe} --terms "{weight[0] if weight else 1} * {self.name}"'

    def is_of(self, kind: str) -> bool:
        """Whether it is of one of ``KINDS``: by its knowledge, and by whom that is from.

        >>> [card.name for card in cards() if card.is_of("labels")]
        ['BCE', 'CE', 'DLB', 'LabelSmoothing', 'ONE', 'PSKD', 'TfKD']
        """
        if kind == "self":  # from neither a teacher nor, alone, the labels
            return "teacher" not in self.taps and self.knowledge != "labels"
        return kind in re.findall(r"\w+", self.knowledge)


def cards() -> list[Card]:
    """The losses of the package in alphabetical order."""
    names = sorted(ps.losses.__all__, key=str.lower)
    return [read_card(getattr(ps.losses, name)) for name in names]


def read_card(loss: "type[nn.Module]") -> Card:
    """What the docstring of a loss says in the form of the package's own.

    Raises:
        ValueError: it does not say what kind of knowledge the loss conveys.
    """
    texts = [" ".join(paragraph.split()) for paragraph in paragraphs(loss)]
    knowledge = next((found for text in texts if (found := KNOWLEDGE.match(text))), None)
    if knowledge is None:
        raise ValueError(f"the docstring of {loss.__name__} has no line 'Knowledge: KIND. Trained parts: PARTS.'")
    taps: tuple[str | tuple[str, ...], ...] = getattr(loss(), "taps", ("student", "teacher"))
    return Card(
        name=loss.__name__,
        paper=next((_paper(found) for text in texts if (found := CITATION.search(text))), None),
        knowledge=knowledge["kind"],
        taps=", ".join(tap if isinstance(tap, str) else f"({', '.join(tap)})" for tap in taps),
        trained=(knowledge["trained"] or "").replace("`", ""),
        weight=next((found[1] for text in texts if (found := WEIGHT.match(text))), ""),
        equation=next((inspect.cleandoc(text) for text in paragraphs(loss) if _is_set_apart(text)), ""),
        own_recipe=next((found[1] for text in texts if (found := OWN_RECIPE.search(text))), ""),
    )


def arguments(loss: "type[nn.Module]") -> list[dict[str, str]]:
    """What a loss can be told: name, default, and what it means."""
    (told, *_) = [text for text in paragraphs(loss) if text.startswith("Args:")] or [""]
    texts = {name: " ".join(text.split()) for name, text in ARGUMENT.findall(told)}
    if not texts:
        return []
    parameters = inspect.signature(loss).parameters
    return [{"argument": name, "default": repr(parameters[name].default), "what": texts[name]} for name in texts]


def paragraphs(documented: object) -> list[str]:
    """The paragraphs of a docstring, without the indentation of the whole."""
    return (inspect.getdoc(documented) or "").split("\n\n")


def sentence(documented: object) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(paragraphs(documented)[0].split())


def _is_set_apart(text: str) -> bool:
    """Whether a paragraph is indented as a whole, as equations are."""
    return all(line.startswith("    ") for line in text.split("\n"))


def _paper(found: re.Match[str]) -> Paper:
    year, url = int(found["year"]), found["url"].rstrip(".,")
    return Paper(found["authors"], found["title"], found["venue"] or "", year, url)
