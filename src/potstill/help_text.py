"""The text of ``potstill COMMAND --help``: what it does, an example, its own flags, then those that it shares."""

import ast
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from potstill.augmentation import Augmentation
from potstill.presets import PRESETS
from potstill.selection import Selection
from potstill.text import printable
from potstill.training import Training
from potstill.updates import Updates

EXAMPLES = {
    "demo": "potstill demo",
    "supervised": "potstill supervised --network resnet56 --data cifar100 --out runs/resnet56",
    "distill": "potstill distill --student resnet20 --teacher runs/resnet56 --data cifar100 "
    '--terms "0.1 * CE" "0.9 * KD(temperature=4)" "100 * AT on stages"',
    "rocket": "potstill rocket --light wrn-16-1 --booster wrn-40-1 --data cifar10",
    "mutual": "potstill mutual --networks resnet20 resnet20 --data cifar100",
    "two-stage": "potstill two-stage --student resnet20 --teacher runs/resnet56 --data cifar100",
    "factor-transfer": "potstill factor-transfer --student resnet20 --teacher runs/resnet56 --data cifar100",
    "masked": "potstill masked --student resnet20 --teacher runs/resnet56 --data cifar100",
    "class-means": "potstill class-means --student resnet20 --teacher runs/resnet56 --data cifar100",
    "mixed-paths": "potstill mixed-paths --student resnet20 --teacher runs/resnet56 --data cifar100",
    "moonshine": "potstill moonshine --teacher runs/wrn-40-2 --conv G8B2 --data cifar10",
    "boundary": "potstill boundary --student resnet20 --teacher runs/resnet56 --data cifar100",
    "channel": "potstill channel --student resnet20 --teacher runs/resnet56 --data cifar100",
    "embed": "potstill embed --student resnet18 --teachers timm:vit_small_patch14_dinov2 --data photos",
    "chain": "potstill chain --networks resnet32 resnet20 --teacher runs/resnet56 --data cifar100",
    "native-ensemble": "potstill native-ensemble --network resnet20 --data cifar100",
    "evaluate": "potstill evaluate --network runs/resnet56 --data cifar100",
    "predict": "potstill predict runs/resnet20 photos/ --out photos.csv",
    "describe": "potstill describe resnet20 --classes 100 --layers",
    "export": "potstill export runs/resnet20 --to onnx",
    "push": "potstill push runs/resnet20 me/resnet20 --dry-run",
    "table": "potstill table rocket-table1 --seeds 3 --dry-run",
    "compare": "potstill compare --student resnet20 --teacher runs/resnet56 --data cifar100 "
    '--methods KD AT "CE; 2 * DKD(beta=8)" --seeds 5 --out runs/which',
    "report": "potstill report runs",
    "verify": "potstill verify runs",
    "check": "potstill check photos",
    "list": "potstill list losses",
}
"""A command line of each command."""
DATA, TRAINING = "Data", "Training"
OF_TRAINING = {Augmentation: "Augmentation", Updates: "Updates"}
"""What the rarer settings of a training stand under."""
SHARED = (DATA, TRAINING, *OF_TRAINING.values())
TOLD_BY = "supervised"
"""The recipe that has hardly any flags of its own, whose help tells those that all recipes share."""
WORDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
NO_BREAK = "\0"
NARROWEST, WIDEST = 80, 120
LONGEST_FLAG = 26
"""Characters of a flag beside which its text still stands in the same line."""


@dataclass(frozen=True)
class Flag:
    """A flag or a positional argument, as help shows it."""

    name: str
    kind: str
    text: str
    default: str

    @property
    def head(self) -> str:
        """What is typed."""
        return f"{self.name} {self.kind}".strip()


def help_text(name: str, command: Callable[..., Any]) -> str:
    """What ``potstill NAME --help`` prints, as wide as the terminal is, within limits."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST) - 1
    about, texts = _parts(inspect.getdoc(command) or "")
    hints, groups = get_type_hints(command), dict[str, list[Flag]]()
    positional = []
    for argument, parameter in inspect.signature(command).parameters.items():
        kind = hints[argument]
        if isinstance(kind, type) and is_dataclass(kind):
            for heading, flag in _of_dataclass(kind, parameter.default):
                groups.setdefault(heading, []).append(flag)
            continue
        flag = _flag(argument, kind, texts.get(argument, ""), parameter.default)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            flag = Flag(argument.upper(), "..." if flag.kind.endswith("...") else "", flag.text, flag.default)
            positional.append(flag.head)
        groups.setdefault("", []).append(flag)
    lines = [
        printable(" ".join(["usage: potstill", name, *positional, "[--flags] [--json]"])),
        "",
        *_filled(about, width),
    ]
    if name in EXAMPLES:
        lines += ["", "example, in one line:" if len(EXAMPLES[name]) > width else "example:", f"  {EXAMPLES[name]}"]
    for heading, flags in sorted(groups.items(), key=lambda group: bool(group[0])):
        brief = heading in SHARED and TRAINING in groups and name != TOLD_BY
        told = _brief(flags, width) if brief else [line for flag in flags for line in _lines(flag, width)]
        lines += ["", *([f"{heading}:"] if heading else []), *told]
    if TRAINING in groups:
        lines += [
            "",
            f"--preset {'|'.join(PRESETS)} replaces defaults;",
            "potstill describe --preset crd tells by what.",
        ]
    if TRAINING in groups and name != TOLD_BY:
        lines += ["", f"potstill {TOLD_BY} --help tells what the last groups mean."]
    lines += ["", "Every command has --json (one JSON object), --trust (run code of foreign runs) and --help."]
    return "\n".join(lines)


def _brief(flags: list[Flag], width: int) -> list[str]:
    """Flags that are explained elsewhere, with their defaults."""
    told = (f"{flag.head} ({flag.default.removeprefix('default ')})" if flag.default else flag.head for flag in flags)
    text = textwrap.fill(
        ", ".join(words.replace(" ", NO_BREAK) for words in told),
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text.replace(NO_BREAK, " ").split("\n")


def _flag(name: str, kind: Any, text: str, default: Any) -> Flag:
    words, flag = _words(kind), f"--{name.replace('_', '-')}"
    if kind is bool:
        flag, words = (f"--no-{flag[2:]}" if default is True else flag), ""
        return Flag(flag, words, text, "the default is with it" if default is True else "")
    required = default is inspect.Parameter.empty
    return Flag(flag, words, text, "required" if required else _default(default))


def _default(value: Any) -> str:
    """A default in words; none for what the text tells."""
    if value is None or value in ((), ""):
        return ""
    shown = " ".join(f'"{item}"' for item in value) if isinstance(value, tuple) else str(value)
    return f"default {shown}"


def _words(kind: Any) -> str:
    """What is typed after a flag.

    >>> _words(str | tuple[str, ...] | None), _words(Literal["a", "b"]), _words(tuple[int, int])
    ('TEXT ...', 'a|b', 'N N')
    """
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, UnionType):
        found = dict.fromkeys(_words(one) for one in get_args(kind) if one is not NoneType)
        return max(found, key=len)
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        return f"{_words(inner[0])} ..." if inner[-1] is ... else " ".join(map(_words, inner))
    return next((word for base, word in WORDS.items() if kind is base), "VALUE")


def _of_dataclass(kind: type[Any], default: Any) -> Iterator[tuple[str, Flag]]:
    """The flags that a dataclass stands for, each with the heading that it stands under."""
    hints, texts = get_type_hints(kind), _texts_of(kind)
    data = {field.name for field in fields(Selection)}
    title = (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".")
    own = inspect.get_annotations(kind)
    for field in sorted(fields(kind), key=lambda one: one.name not in own):  # its own first, which are the usual ones
        value = field.default if field.default is not MISSING else inspect.Parameter.empty
        if is_dataclass(default):
            value = getattr(default, field.name)
        of_training = {f.name: heading for part, heading in OF_TRAINING.items() for f in fields(part)}
        heading = DATA if field.name in data else of_training.get(field.name, TRAINING) if kind is Training else title
        yield heading, _flag(field.name, hints[field.name], " ".join(texts.get(field.name, "").split()), value)


def _texts_of(kind: type[Any]) -> dict[str, str]:
    """The texts under the fields of a dataclass and of those that it is made from."""
    found: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        (body,) = (node.body for node in ast.parse(textwrap.dedent(inspect.getsource(base))).body)  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = str(text.value.value)
    return found


def _parts(doc: str) -> tuple[str, dict[str, str]]:
    """What a docstring tells of a command, and of each of its arguments."""
    about, _, rest = doc.partition("\nArgs:\n")
    arguments = re.split(r"\n\n(?=\S)|\n(?=\S)", rest)[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", arguments, re.MULTILINE)
    return re.split(r"\n(?:Returns|Raises):\n|\n>>> ", about)[0].strip(), {n: " ".join(t.split()) for n, t in found}


def _filled(text: str, width: int) -> list[str]:
    """Paragraphs as wide as the screen; what is set apart stays as it is."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        apart = paragraph.startswith("    ")
        lines += ["", *(paragraph.split("\n") if apart else textwrap.wrap(paragraph, width))]
    return lines[1:]


def _lines(flag: Flag, width: int) -> list[str]:
    """A flag with its text beside it, or below it if it is long."""
    text = " ".join(filter(None, [flag.text, f"({flag.default})" if flag.default else ""]))
    start = f"  {flag.head}"
    indent = " " * (LONGEST_FLAG + 4)
    if len(flag.head) > LONGEST_FLAG:
        return [start, *textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)]
    return textwrap.wrap(text, width, initial_indent=start.ljust(len(indent)), subsequent_indent=indent) or [start]
