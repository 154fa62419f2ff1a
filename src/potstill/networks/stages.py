"""The stages of any network: where its maps are about to become smaller."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from potstill.errors import BadInput
from potstill.networks.dry_run import Call, DryRun, Seen

SPREAD = 4  # how many blocks stand for the stages of a network whose maps all have one resolution


@dataclass(frozen=True)
class Stage:
    """A place inside a network, ``layer1`` or ``blocks.2:map``, and the shape (C, h, w) of its map for one image.

    >>> import torch
    >>> import potstill as ps
    >>> *_, last = ps.networks.find_stages(ps.networks.create("resnet8"), torch.randn(1, 3, 32, 32))
    >>> last
    Stage(path='stage3', shape=(64, 8, 8))
    >>> ps.Term(ps.losses.AT(), f"student.{last.path}", f"teacher.{last.path}").name
    'AT student.stage3'
    """

    path: str
    shape: tuple[int, int, int]


def find_stages(network: nn.Module, images: Tensor) -> list[Stage]:
    """The stages of ``network`` in the order in which they run, seen in a dry run on ``images`` (N, C, H, W).

    Those that it names itself by aliases, ``stage1``, ``stage2``, ..., if there is a map at each. Otherwise, at each
    resolution, what the last module returns that works at it: the outermost one that does not contain a whole stage of
    another resolution. Resolutions are told apart by powers of 2. Not counted are resolutions without any weights, the
    single layer of a stem, maps of one pixel, sequences (N, C, L), maps that something overwrites in place, and what is
    inside a block that returns several tensors none of which can be told to be its map. A network of a single
    resolution (a vision transformer) gives 4 of its repeated blocks, evenly spread.

    >>> import torch
    >>> from torch import nn
    >>> import potstill as ps
    >>> halves = [nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1)) for _ in range(2)]
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), *halves, nn.Flatten(), nn.Linear(512, 10))
    >>> [(stage.path, stage.shape) for stage in ps.networks.find_stages(network, torch.randn(2, 3, 32, 32))]
    [('1', (8, 16, 16)), ('2', (8, 8, 8))]
    """
    return stages_of(DryRun(network, "network", images))


def stages_of(run: DryRun) -> list[Stage]:
    """The stages of the network of a dry run, as in `find_stages`."""
    return named_stages(run) or _found_stages(run) or _found_stages(run, into_blocks=True)


def named_stages(run: DryRun, suffix: str = "") -> list[Stage]:
    """The stages that the network names by aliases, ``stage1`` with ``suffix`` after it; none if one is no map.

    Those whose maps have one pixel are left out.
    """
    aliases: dict[str, str] = getattr(run.network, "aliases", {})
    stages = []
    for alias in aliases:
        if re.fullmatch(rf"stage\d+{suffix}", alias):
            try:
                stage = _stage(run, alias, run.seen_at(alias))
            except BadInput:  # an alias of a module that is not there any more
                return []
            if stage is None:
                return []
            stages.append(stage)
    return [stage for stage in stages if _is_wide(stage)]


def _is_wide(stage: Stage) -> bool:
    """Whether there is anything to compare between its places: a map of one pixel has no pattern."""
    return stage.shape[1] * stage.shape[2] > 1


def _found_stages(run: DryRun, into_blocks: bool = False) -> list[Stage]:
    trunk: dict[int, list[Call]] = {}  # by resolution, in the order of the last calls
    weights = Counter[int]()
    for level, call in _trunk(run, run.root, into_blocks):
        trunk[level] = [*trunk.pop(level, []), call]
        weights[level] += _weights(call)
    levels = [level for level in trunk if weights[level]]
    if len(levels) == 1:
        blocks = [_last_stage(run, [call]) for call in _repeated(run, levels[0])]
        return [stage for stage in blocks if stage is not None and _is_wide(stage)]
    if len(levels) > 1 and weights[levels[0]] == 1 < weights[levels[1]]:  # the stem
        del levels[0]
    found = [_last_stage(run, trunk[level]) for level in levels]
    return [stage for stage in found if stage is not None and _is_wide(stage)]


def _level(run: DryRun, value: Any) -> int | None:
    """How often the images were halved to get this map, rounded; None if it is no map."""
    shape = run.map_shape(value)
    return None if shape is None else round(math.log2(math.prod(run.size) / (shape[1] * shape[2])) / 2)


def _trunk(run: DryRun, call: Call, into_blocks: bool) -> Iterator[tuple[int, Call]]:
    """The outermost calls inside ``call`` that return a map, without a resolution between its own and its input's."""
    for inner in call.inside:
        if not into_blocks and _hides_its_map(run, inner):
            continue
        last = _level(run, inner.output.value)
        first = _level(run, inner.input.value) or 0
        if last is None or any(first < level < last for level in _levels(run, inner)):
            yield from _trunk(run, inner, into_blocks)
        elif last >= first or _weights(inner):  # a pooling that enlarges small maps is no stage
            yield last, inner


def _hides_its_map(run: DryRun, call: Call) -> bool:
    """Whether its maps are among several things that it returns, and computed by itself: a sum with its input, say.

    What its modules return is then no more than a branch of them.
    """
    if isinstance(call.output.value, Tensor):
        return False
    maps = [id(tensor) for tensor in call.tensors if _level(run, tensor) is not None]
    inside = {id(tensor) for inner in _descendants(call) for tensor in inner.tensors}
    return bool(maps) and inside.isdisjoint(maps)


def _weights(call: Call) -> int:
    """How many convolutions and linear layers run in a call; norms do not count."""
    return call.learned + sum(_weights(inner) for inner in call.inside)


def _levels(run: DryRun, call: Call) -> Iterator[int]:
    for inner in call.inside:
        level = _level(run, inner.output.value)
        if level is not None:
            yield level
        yield from _levels(run, inner)


def _last_stage(run: DryRun, calls: list[Call]) -> Stage | None:
    """The last of ``calls`` whose map nothing overwrites, or that map just before an activation overwrites it."""
    for call in reversed(calls):
        seen = run.seen_at(call.path)
        if seen is not call.output:  # the module runs again, elsewhere
            continue
        if stage := _stage(run, call.path, seen):
            return stage
        for later in run.calls:
            if later.input.value is seen.value and getattr(later.module, "inplace", False):
                path = f"{later.path}:in"
                if run.seen_at(path).value is seen.value:
                    return _stage(run, path, run.seen_at(path))
    return None


def _stage(run: DryRun, path: str, seen: Seen) -> Stage | None:
    shape = run.map_shape(seen.value)
    return None if shape is None or seen.overwritten else Stage(run.as_map(path, seen.value), shape)


def _repeated(run: DryRun, level: int) -> list[Call]:
    """Blocks of one kind side by side, evenly spread: the outermost that are enough, else the most numerous."""
    families: list[list[Call]] = []
    for call in (run.root, *_descendants(run.root)):
        kinds: dict[type, list[Call]] = {}
        for inner in call.inside:
            if _level(run, inner.output.value) == level and _weights(inner):
                kinds.setdefault(type(inner.module), []).append(inner)
        families += kinds.values()
    enough = [family for family in families if len(family) >= SPREAD]
    family = enough[0] if enough else max(families, key=len)
    parts = min(SPREAD, len(family))
    return [family[math.ceil(len(family) * part / parts) - 1] for part in range(1, parts + 1)]


def _descendants(call: Call) -> Iterator[Call]:
    for inner in call.inside:
        yield inner
        yield from _descendants(inner)
