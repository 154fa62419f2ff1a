"""Names of tensors in other repositories' files, and in training scripts' checkpoints, as a network has them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from potstill.errors import BadInput

SPELLINGS = (
    (r"^linear\.", "fc."),  # akamaster/pytorch_resnet_cifar10; RepDistiller's ShuffleNets
    (r"^classifier\.(?:0\.)?", "fc."),  # RepDistiller's VGG; with the 0, its MobileNetV2
    (r"\.shortcut\.(\d)\.", r".downsample.\1."),  # akamaster's option B
    (r"^res(\d)\.", r"layer\1."),  # AberHu/Knowledge-Distillation-Zoo
    (r"\.ds\.(\d)\.", r".downsample.\1."),  # the same
    (r"^(block\d)(?:\.0)?\.layer\.(\d+)\.", r"\1.\2."),  # RepDistiller; with the 0, BayesWatch/pytorch-moonshine
    (r"\.convShortcut\.", ".shortcut."),  # both
    (r"\.(conv\d)\.conv\.", r".\1."),  # pytorch-moonshine's plain convolution
    (r"\.convdw\.", ".conv."),  # its cheap ones
    (r"\.conv1x1_(down|up)\.", r".\1."),
    (r"\.conv(1x1|3d)\.", ".pointwise."),
    # Saved from a network whose parts are wrapped, by DataParallel, torch.compile, FSDP or checkpointing.
    (r"(?<=\.)(?:module|_orig_mod|_fsdp_wrapped_module|_fpw_module|_checkpoint_wrapped_module)\.", ""),
)
"""Rewrites of a name, tried in order until the network has it: names that fit already are never touched."""
COUNTERS = ("total_ops", "total_params")
"""What the profiler thop leaves in every layer."""
AVERAGED = "n_averaged"
"""What torch's AveragedModel counts."""
MOST_PREFIXES = 4

Shapes = Mapping[str, tuple[int, ...]]


class Ambiguous(BadInput):
    """Several parts of a file fit equally."""

    def __init__(self, parts: Iterable[str]) -> None:
        self.parts = tuple(parts)
        super().__init__(f"several parts fit: {', '.join(self.parts)}")


@dataclass(frozen=True)
class Placement:
    """Which of a file's names are which of a network's, and what was done to find that out."""

    names: dict[str, str]
    prefixes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def covers(self, expected: Shapes) -> bool:
        """Whether nothing is missing but counters of batch norms, which old files lack."""
        return needed(expected) <= set(self.names.values())

    def wrong_shapes(self, shapes: Shapes, expected: Shapes) -> int:
        """How many tensors have another shape than the network's."""
        return sum(tuple(shapes[n]) != tuple(expected[own]) for n, own in self.names.items() if own in expected)


def needed(expected: Iterable[str]) -> set[str]:
    """The names that a file must have."""
    return {name for name in expected if not name.endswith("num_batches_tracked")}


def spell(name: str, expected: Shapes) -> str:
    """The network's spelling of a file's name, or the file's own if no spelling is one of the network's."""
    ours = name
    for pattern, replacement in SPELLINGS:
        if ours in expected:
            break
        ours = re.sub(pattern, replacement, ours)
    return ours if ours in expected else name


def without_counters(shapes: Shapes, expected: Shapes) -> tuple[Shapes, tuple[str, ...]]:
    """A file's tensors without what profilers and averages count, and the names of those."""
    counted = tuple(
        name
        for name in shapes
        if name not in expected and (name.rpartition(".")[2] in COUNTERS or name.rpartition(".")[2] == AVERAGED)
    )
    return {name: shape for name, shape in shapes.items() if name not in counted}, counted


def place(shapes: Shapes, expected: Shapes, depth: int = 0) -> Placement:
    """Find the network's tensors in a file: as they are called, or behind a prefix of all, of one part, or of each.

    Raises:
        Ambiguous: several parts fit equally.
    """
    direct = Placement({name: spell(name, expected) for name in shapes})
    if direct.covers(expected) or depth == MOST_PREFIXES:
        return direct
    parts = {part: _place_part(part, inner, expected, depth) for part, inner in _parts(shapes).items()}
    whole = {part: placement for part, placement in parts.items() if placement.covers(expected)}
    if whole:
        wrong = {part: placement.wrong_shapes(shapes, expected) for part, placement in whole.items()}
        best = [part for part in whole if wrong[part] == min(wrong.values())]
        if len(best) > 1:
            raise Ambiguous(best)
        found = whole[best[0]]
        others = tuple(name for name in shapes if name not in found.names)
        return Placement(found.names, found.prefixes, others)
    return _together(direct, parts, expected)


def _parts(shapes: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    """What names begin with, up to the first dot, and what stands behind that."""
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        part, dot, inner = name.partition(".")
        if dot:
            parts.setdefault(part, {})[inner] = shape
    return parts


def _place_part(part: str, inner: Shapes, expected: Shapes, depth: int) -> Placement:
    """The placement of the names behind a prefix, by their whole names."""
    try:
        found = place(inner, expected, depth + 1)
    except Ambiguous as error:
        raise Ambiguous(f"{part}.{inside}" for inside in error.parts) from None
    return Placement({f"{part}.{name}": own for name, own in found.names.items()}, (f"{part}.", *found.prefixes))


def _together(direct: Placement, parts: Mapping[str, Placement], expected: Shapes) -> Placement:
    """Names as they are, but for the parts that fit, all of them, behind a prefix of their own."""
    names, prefixes = dict(direct.names), list[str]()
    for placement in parts.values():
        fits = all(own in expected for own in placement.names.values())
        if fits and not all(direct.names[name] in expected for name in placement.names):
            names |= placement.names
            prefixes += placement.prefixes
    return Placement(names, tuple(dict.fromkeys(prefixes)))
