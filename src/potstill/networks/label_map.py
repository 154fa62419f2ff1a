"""A network that answers in other classes than its own, each of which stands for one or several of those."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from potstill.errors import BadInput, unknown
from potstill.outputs import logits_of

MEMBERS = "potstill_members"
"""A buffer of a mapped network, outside of its state dict: the numbers (K, M) of its own classes, -1 for none."""
FORM = 'wanted is {"class": "teacher\'s class", "other class": ["teacher\'s class", 7], ...}'

Entries = dict[str, list[str]]
"""The classes that a map names, each with names or numbers of the teacher's."""


def read_label_map(file: Path) -> Entries:
    """The classes that a map names, in its order, each with the teacher's: by name, or by number from 0 on.

    JSON: an object of classes, each a name, a number or a list of such. CSV: a row for each pair, the class first; a
    first row of which ``class`` is the first cell is a heading.

    Raises:
        BadInput: the file cannot be read, or is neither.
    """
    if not file.is_file():
        raise BadInput(f"--label-map {file} is no file; give a JSON or CSV file")
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--label-map {file} is no readable text in UTF-8: {error}") from error
    entries = _csv(text, file) if file.suffix.lower() == ".csv" else _json(text, file)
    if not entries:
        raise BadInput(f"--label-map {file} names no class")
    return entries


def groups_of(entries: Entries, classes: Sequence[str], own: Sequence[str], file: Path) -> list[list[int]]:
    """The numbers of a teacher's ``own`` classes for each of the ``classes`` of the data.

    Raises:
        BadInput: a class is unknown or missing; a class of the teacher is unknown, stands twice, or has a name that
            several have.
    """
    if stray := [name for name in entries if name not in classes]:
        raise unknown(f"class in --label-map {file}", stray[0], classes)
    if missing := [name for name in classes if name not in entries]:
        raise BadInput(f"--label-map {file} says of {len(missing)} classes nothing, such as {missing[0]!r}")
    groups = [[_number(entry, own, file) for entry in entries[name]] for name in classes]
    seen: dict[int, str] = {}
    for name, group in zip(classes, groups, strict=True):
        for number in group:
            if number in seen:
                raise BadInput(
                    f"--label-map {file}: the teacher's class {own[number]!r} is of {seen[number]!r} and of {name!r}"
                )
            seen[number] = name
    return groups


def map_classes(network: nn.Module, groups: Sequence[Sequence[int]]) -> None:
    """Have ``network`` answer with logits (N, K) of groups of its own classes.

        z'_k = log sum of exp(z_j) over j in group k

    Classes exclude each other, so that the probability of a group is the sum of its members', as it is in a hierarchy:
    Deng, Krause, Berg and Fei-Fei, "Hedging your bets", CVPR 2012, https://doi.org/10.1109/CVPR.2012.6248086. The
    softmax of z' is that, given that the image is of one of the groups at all: what the network gives to classes of no
    group is left out. Temperatures soften the groups, not their members. It happens behind the network, in a forward
    hook: taps and state dict keep their names. It then returns these logits alone, in float32 at least.

    >>> import torch
    >>> import potstill as ps
    >>> network = ps.networks.create("resnet8", classes=4).eval()
    >>> before = network(images := torch.randn(2, 3, 32, 32)).softmax(1)
    >>> map_classes(network, [[0], [1, 3]])
    >>> after = network(images).softmax(1)
    >>> torch.allclose(after[:, 1] / after[:, 0], (before[:, 1] + before[:, 3]) / before[:, 0])
    True
    """
    members = torch.full((len(groups), max(map(len, groups))), -1)
    for row, group in enumerate(groups):
        members[row, : len(group)] = torch.tensor(group)
    device = next((value.device for value in network.parameters()), members.device)
    network.register_buffer(MEMBERS, members.to(device), persistent=False)
    network.label_map = [list(group) for group in groups]  # type: ignore[assignment]
    network.register_forward_hook(_mapped)


def _mapped(network: nn.Module, _: tuple[Any, ...], output: Any) -> Tensor:
    """The forward hook: a function of the network it is called with, so that copies of it are independent."""
    logits = logits_of(output)
    members: Tensor = getattr(network, MEMBERS)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    of_groups = wide[:, members.clamp(min=0)].masked_fill(members < 0, -torch.inf)
    return of_groups.logsumexp(dim=2)


def _number(entry: str, own: Sequence[str], file: Path) -> int:
    found = [number for number, name in enumerate(own) if name == entry]
    # ImageNet's classes have several names each: "tench, Tinca tinca".
    found = found or [number for number, name in enumerate(own) if name.partition(",")[0] == entry]
    if len(found) > 1:
        numbers = ", ".join(map(str, found))
        raise BadInput(f"--label-map {file}: {len(found)} classes of the teacher are called {entry!r}: say {numbers}")
    if found:
        return found[0]
    if entry.isascii() and entry.isdecimal():
        if len(entry) > 9 or int(entry) >= len(own):
            raise BadInput(f"--label-map {file}: the teacher has {len(own)} classes, no number {entry}")
        return int(entry)
    raise unknown(f"class of the teacher in --label-map {file}", entry, own)


def _json(text: str, file: Path) -> Entries:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--label-map {file} is no JSON: {error}") from error
    if not isinstance(content, Mapping):
        raise BadInput(f"--label-map {file} is no object of classes; {FORM}")
    found: Entries = {}
    for name, value in content.items():
        several = value if isinstance(value, list) else [value]
        if not several or not all(type(one) in (str, int) for one in several):
            raise BadInput(f"--label-map {file}: {name!r} has neither names nor numbers; {FORM}")
        found[name] = [str(one) for one in several]
    return found


def _csv(text: str, file: Path) -> Entries:
    found: Entries = {}
    for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() == "class"):
            continue
        if len(cells) != 2 or not all(cells):
            raise BadInput(f"--label-map {file}, line {number} is no pair of a class and a class of the teacher")
        found.setdefault(cells[0], []).append(cells[1])
    return found
