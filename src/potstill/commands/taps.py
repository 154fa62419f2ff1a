"""The taps that ``potstill describe`` lists, and how: each once, blocks of one kind in one row."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def find_taps(network: "nn.Module", shape: tuple[int, int, int]) -> tuple[dict[str, str], dict[str, list[int] | None]]:
    """The taps of a network, and what flows there for one image of ``shape`` (C, H, W).

    Returns:
        {tap: path of the module}: the names that the network gives, else all its modules by their paths; and {tap:
        shape of the tensor for one image}, None where none does.
    """
    import torch
    from torch import Tensor

    from potstill.networks.dry_run import DryRun

    aliases: dict[str, str] = getattr(network, "aliases", {})
    taps = dict(aliases) or {path: path for path, _ in network.named_modules() if path}
    like = next(network.parameters(), torch.empty(0))
    run = DryRun(network, type(network).__name__, torch.zeros(1, *shape, device=like.device, dtype=like.dtype))
    seen = {tap: run.seen_at(tap).value for tap in taps}
    return taps, {tap: list(value.shape[1:]) if isinstance(value, Tensor) else None for tap, value in seen.items()}


def tap_rows(taps: Mapping[str, str], shapes: Mapping[str, Sequence[int] | None]) -> list[dict[str, Any]]:
    """A row each tap, of blocks that are alike a row for all: those whose paths differ in one number.

    >>> tap_rows({"a.0": "a.0", "a.1": "a.1", "fc": "fc"}, {"a.0": [8, 4, 4], "a.1": [8, 4, 4], "fc": [10]})
    [{'tap': 'a.0 ... a.1', 'output': '8 x 4 x 4'}, {'tap': 'fc', 'output': '10'}]
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for tap, path in taps.items():
        pattern = re.sub(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)", "*", tap, count=1) if tap == path else tap
        groups.setdefault((pattern, _text(shapes[tap])), []).append(tap)
    rows = []
    for (_, output), members in groups.items():
        name = members[0] if len(members) == 1 else f"{members[0]} ... {members[-1]}"
        named = any(tap != path for tap, path in taps.items())
        rows.append({"tap": name, **({"module": taps[members[0]]} if named else {}), "output": output})
    return rows


def _text(shape: Sequence[int] | None) -> str:
    return "no tensor" if shape is None else " x ".join(map(str, shape)) or "a number"
