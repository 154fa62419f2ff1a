"""Which layer of a student goes with which of its teacher: stages of like resolution, in the order of depth."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from potstill.errors import BadInput
from potstill.say import say

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.networks.dry_run import DryRun
    from potstill.networks.stages import Stage

Pair = tuple[str, str]  # a place in the student, and one in the teacher


def match(student: "Sequence[Stage]", teacher: "Sequence[Stage]") -> "list[tuple[Stage, Stage]]":
    """Pairs of stages whose maps differ by a factor of 2 at most, in the order of depth of both networks.

    As many as possible; of those, the ones with the smallest sum of abs(log2(side over side)); of those again, the ones
    whose relative depths differ least. Sides of maps are compared as they are, whatever the images' sizes.
    """
    empty = _Plan(0, 0.0, 0.0, ())
    best = [[empty] * (len(teacher) + 1) for _ in range(len(student) + 1)]
    for i, j in product(range(len(student)), range(len(teacher))):
        options = [best[i][j + 1], best[i + 1][j]]
        if _near(student[i].shape, teacher[j].shape):
            before = best[i][j]
            ratio = before.ratio + _octaves(student[i].shape, teacher[j].shape)
            depth = before.depth + abs((i + 1) / len(student) - (j + 1) / len(teacher))
            pairs = (*before.pairs, (i, j))
            options.append(_Plan(before.left_out - 1, round(ratio, 9), round(depth, 9), pairs))
        best[i + 1][j + 1] = min(options)
    return [(student[i], teacher[j]) for i, j in best[-1][-1].pairs]


class _Plan(NamedTuple):
    """Some pairs, and what makes them better than others; the smallest is the best."""

    left_out: int  # minus the number of pairs
    ratio: float
    depth: float
    pairs: tuple[tuple[int, int], ...]


def _near(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether neither side is more than twice the other one's; halving an odd side may round it either way."""
    return all(max(sides) <= 2 * min(sides) + 1 for sides in zip(one[1:], other[1:], strict=True))


def _octaves(one: Sequence[int], other: Sequence[int]) -> float:
    return abs(math.log2(math.prod(one[1:]) / math.prod(other[1:]))) / 2


class Matcher:
    """Matches the layers of a student and a teacher, seen in one dry run of each, and says on stderr what it matched.

    Args:
        networks: ``student`` and ``teacher``.
        images: a few of the training set's (N, C, H, W).
        names: what the two are called in what it says.
    """

    def __init__(self, networks: "Mapping[str, nn.Module]", images: "Tensor", names: Mapping[str, str]) -> None:
        self.networks, self.images, self.names = networks, images, names
        self.runs: dict[str, DryRun] = {}
        self.said: set[Pair] = set()

    def stages(self, suffix: str, string: str) -> list[Pair]:
        """The stages of both, matched; with a ``suffix``, those before their last activation (":pre").

        Raises:
            BadInput: a network is missing or has none, or no two go together; the message quotes ``string``.
        """
        from potstill.networks.stages import named_stages, stages_of

        found = {}
        for name in ("student", "teacher"):
            if name not in self.networks:
                raise BadInput(f"term {string!r}: there is no network called {name!r} to match stages with")
            found[name] = named_stages(self._run(name), suffix) if suffix else stages_of(self._run(name))
            if not found[name]:
                raise BadInput(f"term {string!r}: {name} has no stages to tap; name layers: 'on layer3=blocks.8'")
        pairs = match(found["student"], found["teacher"])
        if not pairs:
            both = " and ".join(f"{name} {', '.join(_text(s) for s in stages)}" for name, stages in found.items())
            raise BadInput(f"term {string!r}: no two stages within a factor of 2 of each other: {both}; name layers")
        for pair in pairs:
            self._say(*pair)
        return [(student.path, teacher.path) for student, teacher in pairs]

    def as_map(self, owner: str, path: str) -> str:
        """The place ``path`` of a network as a map, where its tensor is tokens or has its channels last.

        Raises:
            BadInput: there is no such place.
        """
        run = self._run(owner)
        value = run.seen_at(path).value
        return path if run.map_shape(value) is None else run.as_map(path, value)

    def _run(self, name: str) -> "DryRun":
        from potstill.networks.dry_run import DryRun

        if name not in self.runs:
            self.runs[name] = DryRun(self.networks[name], name, self.images)
        return self.runs[name]

    def _say(self, student: "Stage", teacher: "Stage") -> None:
        if (student.path, teacher.path) not in self.said:
            self.said.add((student.path, teacher.path))
            taps = [f"{self.names[n]}.{_text(s)}" for n, s in (("student", student), ("teacher", teacher))]
            say(f"matched {' with '.join(taps)}")


def _text(stage: "Stage") -> str:
    return f"{stage.path} ({' x '.join(str(side) for side in stage.shape)})"
