"""The methods of a comparison, as the words of ``--methods`` name them."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from potstill.catalogue import Card, cards
from potstill.comparing.usual import Usual, own_weight, usual, usual_of
from potstill.errors import BadInput, unknown
from potstill.term_strings.calls import HOME, find_loss

GROUPS = {"all": "", "all-logit": "responses", "all-features": "features", "all-relations": "relations"}
"""Words for many methods, and the kind of knowledge that these convey."""
LONGEST_NAME = 60
BARE = re.compile(r"[\w-]+")
OF_LABELS = ("CE", "BCE")
"""By which the student alone is trained."""


@dataclass(frozen=True)
class Method:
    """A method of a comparison.

    Args:
        name: of its row, and of the folder of its runs.
        usual: its terms.
        group: the word that it is one of; empty for one that was named.
        scaled: whether its schedules are the authors', which are shortened with the run.

    >>> [method.name for method in methods(["KD", "CE; 2 * DKD(beta=8)"], with_teacher=True)]
    ['KD', 'CE-2-DKD-beta=8']
    """

    name: str
    usual: Usual
    group: str = ""
    scaled: bool = True


def methods(words: Sequence[str], with_teacher: bool, labels: str = "CE") -> list[Method]:
    """The methods that ``words`` name, each once: losses, groups of them, and terms parted by ";".

    Args:
        words: a loss's name, its usual terms; a group, all losses of a kind that need no recipe of their own; anything
            else as ``--terms`` takes it, one term or several; ``file.py:Loss`` alone: 1 of it beside cross-entropy.
        with_teacher: whether there is a teacher; terms are without one if not.
        labels: the loss by which the student alone is trained.

    Raises:
        BadInput: no such loss or group; no methods.
    """
    known = {card.name: card for card in cards()}
    found: dict[str, Method] = {}
    for word in words:
        for method in _named(word.strip(), known, with_teacher, labels):
            there = found.setdefault(method.name, method)
            if there.usual != method.usual:  # other terms, whose characters make the same name
                mark = hashlib.sha256(word.encode()).hexdigest()[:6]
                found[f"{method.name}-{mark}"] = replace(method, name=f"{method.name}-{mark}")
            elif not method.group:
                found[method.name] = method
    if not found:
        raise BadInput(f"--methods names none: give losses, terms, or {', '.join(GROUPS)}")
    return list(found.values())


def _named(word: str, known: dict[str, Card], with_teacher: bool, labels: str) -> list[Method]:
    """The methods of one word."""
    if word in GROUPS:
        kind = GROUPS[word]
        group = [card for card in known.values() if not card.own_recipe and card.name not in OF_LABELS]
        group = [card for card in group if with_teacher or "teacher" not in card.taps]
        return [Method(card.name, usual(card, labels), word) for card in group if not kind or card.is_of(kind)]
    if word == labels:
        raise BadInput(f"{word} is what the student alone is trained by, the row that methods are compared with")
    if word in known:
        return [Method(word, usual(known[word], labels))]
    if BARE.fullmatch(word):
        raise unknown("method", word, [*known, *GROUPS])
    recipe = "distill" if with_teacher else "supervised"
    terms = tuple(part for term in word.split(";") if (part := term.strip()))
    home, _, attribute = word.rpartition(":")
    if len(terms) == 1 and "*" not in home and HOME.fullmatch(home) and attribute.isidentifier():
        return [Method(_name(word), usual_of(own_weight(find_loss(word)), word, recipe, labels))]
    return [Method(_name(word), Usual(recipe, terms), scaled=False)]


def _name(word: str) -> str:
    """A method's terms as the name of a folder."""
    name = re.sub(r"[^\w.=]+", "-", word).strip("-.")
    if len(name) <= LONGEST_NAME and name:
        return name
    return f"{name[:LONGEST_NAME].rstrip('-.')}-{hashlib.sha256(word.encode()).hexdigest()[:6]}".lstrip("-")
