"""When two runs are the same one: the only rule, for `fit`, for tables and for the rows of a report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from potstill.runs.schema import Arguments, Config, DataSet, Network

NOT_COMPARED = frozenset(
    {
        "out",  # where a run lies makes it no other one,
        "log",  # nor does who is told of it,
        "data_dir",  # nor does where its data lie, whose classes and counts are compared,
        "device",  # nor what it was computed on: rounding apart, each gives the same,
        "save_every",  # nor how often it is saved,
        "keep",  # nor of how many epochs the weights are kept,
        "extend",  # nor whether it may go on for longer,
        "workers",  # nor how many processes read its images, whose order they leave alone,
        "graph",  # nor whether its steps are CUDA graphs,
        "keep_memory",  # nor what memory it keeps,
        "teacher_cache",  # nor whether a teacher is asked or what it answered before is looked up,
        "on_bad_image",  # nor what is done with images that cannot be read, which a run that met one goes on without
    }
)
"""The arguments that are not compared."""
DIGEST = "digest of data"
"""Not an argument: that the data are the very same images."""
LENGTH = frozenset({"epochs", "lr", "schedule", "milestones", "decay", "extend"})
"""What a run that goes on for longer may differ in: the learning rates of its past epochs are compared instead."""
SEED = frozenset({"seed", DIGEST})
"""What the runs of one row may differ in besides; one may have been made on a copy of the data."""
PLACES = frozenset({"teacher", "teacher_weights", "teachers"})
"""Arguments that may be run folders or files: their last two parts are compared, since what is around these may have
moved. Whether the teachers are the same is told by the digests of their weights."""

LONGEST = 200
"""Characters of a value that a message shows."""


@dataclass(frozen=True)
class Asked:
    """What makes a run the one it is; None: not known, of a run of an earlier version or one that is only planned."""

    recipe: str
    arguments: Arguments
    networks: dict[str, Network] | None = None
    teachers: dict[str, str] | None = None
    data: DataSet | None = None


def asked(config: Config) -> Asked:
    """What a run's configuration says it was asked."""
    return Asked(config["recipe"], config["arguments"], config["networks"], config.get("teachers"), config.get("data"))


def difference(
    before: Asked, now: Asked, but: frozenset[str] = frozenset(), defaults: Mapping[str, Any] | None = None
) -> str | None:
    """The first thing in which ``now`` is another run than ``before``, in words; None if it is the same.

    What is missing, or null, in one of the two is null in the other. Networks, weights of
    teachers and data are compared where both are known.

    Args:
        before: a run.
        now: another, or the same.
        but: further arguments that are not compared; `DIGEST`, too.
        defaults: what an argument was, in a run of before there was such an argument.
    """
    if before.recipe != now.recipe:
        return _differs("recipe", before.recipe, now.recipe)
    known, wanted = {**(defaults or {}), **before.arguments}, now.arguments
    for key in dict.fromkeys([*known, *wanted]):
        if key not in NOT_COMPARED | but and _compared(key, known.get(key)) != _compared(key, wanted.get(key)):
            flag = f"--{key.replace('_', '-')}" if key in wanted else key
            return _differs(flag, known.get(key), wanted.get(key))
    return _other_networks(before, now) or _other_data(before.data, now.data, DIGEST not in but)


def later_arguments(before: Asked, now: Asked, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``now`` that there were none of when ``before`` was made, with the defaults they had then."""
    return {key: defaults[key] for key in now.arguments if key not in before.arguments and key in defaults}


def _differs(what: str, before: object, now: object) -> str:
    there, here = (text if len(text := repr(value)) <= LONGEST else f"{text[:LONGEST]}…" for value in (before, now))
    return f"{what} was {there} there and is {here} now"


def _compared(key: str, value: Any) -> Any:
    """An argument as JSON has it, without the folders around a run folder."""
    plain = value if isinstance(value, str | int | float | None) else json.loads(json.dumps(value, default=str))
    if key not in PLACES:
        return plain
    places = plain if isinstance(plain, list) else [plain]
    parts = [PurePath(place).parts[-2:] if isinstance(place, str) else place for place in places]
    return parts if isinstance(plain, list) else parts[0]


def _other_networks(before: Asked, now: Asked) -> str | None:
    """The first network that is made of something else, or teacher that has other weights."""
    there, here = before.networks, now.networks
    if there is not None and here is not None:
        for name in dict.fromkeys([*there, *here]):
            old, new = _identity(there.get(name)), _identity(here.get(name))
            if old != new:
                specs = [identity.get("spec", identity or None) for identity in (old, new)]
                return _differs(f"network {name}", *(specs if specs[0] != specs[1] else (old, new)))
    weights, digests = before.teachers, now.teachers
    if weights is not None and digests is not None:
        for name in dict.fromkeys([*weights, *digests]):
            if weights.get(name) != digests.get(name):
                return _differs(name, weights.get(name), digests.get(name))
    return None


def _identity(network: Network | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(network or {}))
    found = {key: value for key, value in plain.items() if value is not None and key != "source"}
    if "mean_of" in found:
        found["mean_of"] = [_identity(member) for member in found["mean_of"]]
    return found


def _other_data(before: DataSet | None, now: DataSet | None, to_the_byte: bool) -> str | None:
    """What a folder of images shows when it was changed since."""
    if not before or not now:
        return None
    there, here = before.get("classes") or [], now.get("classes") or []
    if there and here and there != here:
        changed = ", ".join(sorted({*there} ^ {*here})[:3]) or "their order"
        return f"of {len(there)} classes there and {len(here)} now; different: {changed}"
    for split, count in (before.get("images") or {}).items():
        if count != (found := (now.get("images") or {}).get(split)):
            return f"{before['name']} had {count} {split} images then and has {found} now"
    old, new = before.get("digest"), now.get("digest")
    if to_the_byte and old is not None and new is not None and old != new:
        return (
            f"the images of {before['name']} are not those they were: their digest was {old[:12]} and is {new[:12]} now"
        )
    return None
