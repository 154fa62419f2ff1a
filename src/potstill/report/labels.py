"""What a row is called: what tells it from the other rows."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from potstill.runs.same_run import NOT_COMPARED, SEED
from potstill.runs.schema import Config

UNSAID = NOT_COMPARED | SEED
"""The arguments that a row's name leaves out, since they make no other row."""
BARE = {"network", "student", "light", "booster", "networks", "terms"}
"""Arguments that speak for themselves."""


def labels(configs: Sequence[Config], folders: Sequence[str]) -> list[str]:
    """A short name for each configuration, made of what differs among those of the same recipe.

    Two of the same name get their ``folders`` added.
    """
    recipes = [config["recipe"] for config in configs]
    names = []
    for config in configs:
        kin = [other for other in configs if other["recipe"] == config["recipe"]]
        arguments = {**config["arguments"]}
        different = [
            key
            for key in arguments
            if key not in UNSAID and len({_fixed(other["arguments"].get(key)) for other in kin}) > 1
        ]
        said = [short(key, arguments[key]) for key in different if arguments[key] not in (None, [])]
        recipe = [config["recipe"]] if len(set(recipes)) > 1 or not said else []
        names.append(", ".join([*recipe, *said]))
    return [
        f"{name} ({folder})" if names.count(name) > 1 else name for name, folder in zip(names, folders, strict=True)
    ]


def short(key: str, value: Any) -> str:
    """An argument in few words.

    >>> short("teacher", "runs/resnet56"), short("terms", ["CE", "0.9 * KD"]), short("guided", False), short("lr", 0.1)
    ('from resnet56', 'CE + 0.9 KD', 'no guided', 'lr 0.1')
    >>> short("teacher", ["runs/resnet56", "runs/resnet110"])
    'from resnet56 + resnet110'
    """
    words = key.replace("_", "-")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, list):
        names = [str(item) if key == "terms" else PurePath(str(item)).name for item in value]
        text = " + ".join(name.replace(" * ", " ") for name in names)
    else:
        text = str(value) if key == "terms" else PurePath(str(value)).name
    return f"from {text}" if key == "teacher" else text if key in BARE else f"{words} {text}"


def plain(value: Any) -> str:
    """An argument in full, but for the folders that lead to a file: where it lay on a machine is nobody's business."""
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else str(value)


def _fixed(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
