"""Which of a checkpoint's dictionaries is the network: the one that fits, whatever it is called."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from potstill.errors import BadInput
from potstill.networks.pickled import Thing
from potstill.networks.spelling import Ambiguous, Placement, needed, place, without_counters
from potstill.networks.stored import Stored, pairs
from potstill.networks.weight_files import Content

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "student")
"""Entries under which training scripts keep a network's state, the first before the others if several fit."""
AVERAGES = ("ema", "swa", "avg", "average", "polyak", "teacher", "best")
"""Words in the names of entries that come after all others: averages over the training beside the last weights."""
DEEPEST, MOST_ENTRIES, MOST_TENSORS = 4, 10_000, 100_000
SCRIPTED = "__torch__."
"""How the classes of TorchScript are called."""

Values = Mapping[str, Stored | Tensor]


@dataclass(frozen=True)
class State:
    """Tensors by name, and where in the checkpoint they lie."""

    path: tuple[str, ...]
    values: Values


@dataclass(frozen=True)
class Fit:
    """How a state fits a network."""

    state: State
    placement: Placement
    counters: tuple[str, ...]
    matched: int
    misfits: int

    @property
    def name(self) -> str:
        """Where it lies, in the form in which it can be chosen."""
        return "/".join(self.state.path)


class NoState(BadInput):
    """There are no tensors by name."""


def states(content: Content, choice: str | None) -> list[State]:
    """Everything in a checkpoint that may be a network's state, those nearest to its top first.

    Args:
        content: of the file.
        choice: names joined by slashes that lead to it, or to what it lies in.

    Raises:
        NoState: nothing is called so, or there is none.
    """
    root = content.root
    for name in choice.split("/") if choice else ():
        entries = dict(_entries(root, content))
        behind = {key.removeprefix(f"{name}."): value for key, value in entries.items() if key.startswith(f"{name}.")}
        if name not in entries and not behind:
            raise NoState(f"there is no {name!r} in it, only {some(list(entries), 8) or 'something without names'}")
        root = entries.get(name, behind)
    found = list(_walk(root, content))
    if not found:
        names = [] if isinstance(root, list) else [name for name, _ in pairs(root) or []]
        kind = "a Tensor" if content.tensors.tensor(root) is not None else _kind(root)
        raise NoState(f"no tensors by name in {some(names)}" if names else f"{kind} instead of tensors by name")
    return found


def _walk(root: Any, content: Content) -> Iterator[State]:
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), root)])
    seen: set[int] = set()
    count = 0
    while waiting and len(seen) < MOST_ENTRIES:
        path, value = waiting.popleft()
        entries = _entries(value, content)
        tensors = {name: tensor for name, inner in entries if (tensor := content.tensors.tensor(inner)) is not None}
        if tensors and not isinstance(value, list | tuple):
            count += len(tensors)
            if count > MOST_TENSORS:
                raise ValueError("more tensors than any network has")
            yield State(path, tensors)
        for name, inner in entries if len(path) < DEEPEST else ():
            if isinstance(inner, Thing | dict | list) and id(inner) not in seen and name not in tensors:
                seen.add(id(inner))
                waiting.append(((*path, name), inner))


def _entries(value: Any, content: Content) -> list[tuple[str, Any]]:
    """The entries of a dictionary, the attributes of an object, or the tensors of a whole network."""
    return list(_tensors_of(value, content, [])) if _is_network(value) else pairs(value) or []


def _is_network(value: Any) -> bool:
    if not isinstance(value, Thing) or not isinstance(value.state, Thing):
        return False
    return value.kind.startswith(SCRIPTED) or {"_parameters", "_modules"} <= {name for name, _ in pairs(value) or []}


def _tensors_of(network: Thing, content: Content, visited: list[Thing]) -> Iterator[tuple[str, Any]]:
    """A pickled network's tensors by the names that its state dictionary would have."""
    visited.append(network)
    if len(visited) > MOST_ENTRIES:
        raise ValueError("more modules than any network has")
    entries = dict(pairs(network.state) or [])
    if network.kind.startswith(SCRIPTED):
        own, inside = list(entries.items()), list(entries.items())
    else:
        unsaved = entries.get("_non_persistent_buffers_set")
        hidden = {*unsaved.elements, *(n for arg in unsaved.args for n in arg)} if isinstance(unsaved, Thing) else set()
        own = [*(pairs(entries["_parameters"]) or []), *(pairs(entries.get("_buffers")) or [])]
        own, inside = [(name, value) for name, value in own if name not in hidden], pairs(entries["_modules"]) or []
    yield from ((name, value) for name, value in own if content.tensors.tensor(value) is not None)
    for name, module in inside:
        if _is_network(module):
            yield from ((f"{name}.{inner}", value) for inner, value in _tensors_of(module, content, visited))


def fit_all(there: list[State], expected: Mapping[str, tuple[int, ...]]) -> list[Fit]:
    """How each of them fits a network of these shapes.

    Raises:
        Ambiguous: several parts of one fit equally, and no other fits.
    """
    fits, unclear = list[Fit](), list[Ambiguous]()
    for state in there:
        try:
            fits.append(_fit(state, expected))
        except Ambiguous as error:
            unclear.append(Ambiguous("/".join((*state.path, part)) for part in error.parts))
    if unclear and not any(found.misfits == 0 for found in fits):
        raise unclear[0]
    return fits


def _fit(state: State, expected: Mapping[str, tuple[int, ...]]) -> Fit:
    shapes, counters = without_counters({n: tuple(v.shape) for n, v in state.values.items()}, expected)
    placement = place(shapes, expected)
    own, wrong = set(placement.names.values()), placement.wrong_shapes(shapes, expected)
    missing, unexpected = len(needed(expected) - own), sum(name not in expected for name in own)
    return Fit(state, placement, counters, len(own) - unexpected - wrong, missing + unexpected + wrong)


def best(fits: list[Fit]) -> tuple[Fit, list[Fit]]:
    """The state that fits best, and those that fit as well.

    Raises:
        Ambiguous: several do, and nothing tells which is meant.
    """
    most = max(map(_merit, fits))
    equal = sorted((found for found in fits if _merit(found) == most), key=_rank)
    if len(equal) > 1 and _rank(equal[1]) == _rank(equal[0]) and equal[0].matched:
        raise Ambiguous(found.name for found in equal)
    return equal[0], equal[1:]


def _merit(found: Fit) -> tuple[int, int, int]:
    """How well a state fits; of those that do not fit at all, the largest is what the user has in mind."""
    return found.matched, -found.misfits, 0 if found.matched else len(found.state.values)


def _rank(found: Fit) -> tuple[bool, int]:
    """Which of several is meant: the plain one before an average, then the known names in their order."""
    path = found.state.path
    averaged = any(word in name.lower().replace("-", "_").split("_") for name in path for word in AVERAGES)
    known = next((WRAPPERS.index(name) for name in reversed(path) if name in WRAPPERS), len(WRAPPERS))
    return averaged, known if path else -1


def some(items: list[str], limit: int = 3) -> str:
    """The first of some names, and whether there are more."""
    return ", ".join(items[:limit]) + (", ..." if len(items) > limit else "")


def _kind(value: Any) -> str:
    """What a value is, in words."""
    name = value.kind.rpartition(".")[2] if isinstance(value, Thing) else type(value).__name__
    return f"a {name or 'object of a class'}"
