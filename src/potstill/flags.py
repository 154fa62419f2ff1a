"""A function's arguments as a command's flags: which there are, and the call that a command line's words spell."""

import contextlib
import inspect
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from potstill.checked import check_arguments
from potstill.errors import BadInput, unknown
from potstill.home import word_at_home
from potstill.presets import FLAG, takes_preset, with_preset
from potstill.text import SHORTENED_VALUE, printable, shortened

Command = Callable[..., dict[str, Any]]
ALWAYS = ("--help", "--json", "--trust")


def call(name: str, command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Call ``command`` with the arguments that ``words`` spell; its help calls it ``potstill NAME``.

    Raises:
        BadInput: they do not fit its signature.
        SystemExit: they ask for help, which has been printed.
    """
    if {"-h", "--help"} & set(words):
        from potstill.help_text import help_text

        print(help_text(name, command))
        raise SystemExit(0)
    check_flags(command, words)
    command, words = with_preset(command, words)
    run, mistake = _parse(name, command, words)
    if run is None:
        # The parser breaks long words into lines, and obeys what does not print: changed before, they stay one.
        _, brief = _parse(name, command, [shortened(printable(word), SHORTENED_VALUE) for word in words])
        raise BadInput(brief or mistake)
    result: dict[str, Any] = run()
    return result


def _parse(name: str, command: Command, words: Sequence[str]) -> tuple[Callable[[], dict[str, Any]] | None, str]:
    """The call that ``words`` spell, or None and what is wrong with them."""
    import tyro

    mistakes = io.StringIO()
    program = printable(f"potstill {name}")
    try:
        with contextlib.redirect_stderr(mistakes), _without_examples(command):
            return tyro.cli(
                _deferred(command),
                args=list(map(word_at_home, words)),
                prog=program,
                config=(tyro.conf.OmitArgPrefixes,),
            ), ""
    except SystemExit as stop:
        if not stop.code:
            raise
        return None, _one_line(mistakes.getvalue())


def check_flags(command: Callable[..., Any], words: Sequence[str]) -> None:
    """Refuse flags that ``command`` does not have, naming the nearest, before anything slow is imported.

    Raises:
        BadInput: there is such a flag.
    """
    known = flags_of(command)
    for word in words:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag.replace("_", "-") not in known:
            raise unknown("flag", flag, known)


def flags_of(command: Callable[..., Any]) -> list[str]:
    """The flags of a command: its arguments by name, where one that is a dataclass stands for its fields.

    >>> def greet(name: str, /, *, loud: bool = False, at_most: int = 1) -> dict: ...
    >>> flags_of(greet)
    ['--at-most', '--help', '--json', '--loud', '--no-loud', '--trust']
    """
    hints = get_type_hints(command)
    named = {
        name: hints[name]
        for name, parameter in inspect.signature(command).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    found: dict[str, Any] = {}
    for name, kind in named.items():
        if isinstance(kind, type) and is_dataclass(kind):
            inner = get_type_hints(kind)
            flags_there = {field.name: inner[field.name] for field in fields(kind)}
            if twice := [field for field in flags_there if field in named and field != name]:
                raise BadInput(f"--{twice[0]} would be two flags: {kind.__name__} has it, and an argument is called so")
            found |= flags_there
        else:
            found[name] = kind
    flags = [FLAG] if takes_preset(command) else []
    flags += [f"--{name}" for name in found] + [f"--no-{name}" for name, kind in found.items() if kind is bool]
    return sorted({*ALWAYS, *(flag.replace("_", "-") for flag in flags)})


def _deferred(command: Command) -> Callable[..., Callable[[], dict[str, Any]]]:
    """A function of the same signature that only binds its arguments, so that the command itself runs unwatched."""

    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)

    def bind(*args: Any, **kwargs: Any) -> Callable[[], dict[str, Any]]:
        check_arguments(signature.bind(*args, **kwargs).arguments, hints, signature)
        return lambda: command(*args, **kwargs)

    bind.__signature__ = signature  # type: ignore[attr-defined]
    bind.__doc__, bind.__name__ = command.__doc__, command.__name__
    bind.__annotations__ = get_type_hints(command)
    return bind


@contextlib.contextmanager
def _without_examples(command: Command) -> Iterator[None]:
    """The texts of a command's dataclasses, which help shows, without the examples for Python."""
    kinds = [kind for kind in get_type_hints(command).values() if is_dataclass(kind)]
    texts = [kind.__doc__ for kind in kinds]
    for kind, text in zip(kinds, texts, strict=True):
        kind.__doc__ = (text or "").partition("\n    >>> ")[0].rstrip()
    try:
        yield
    finally:
        for kind, text in zip(kinds, texts, strict=True):
            kind.__doc__ = text


def _one_line(box: str) -> str:
    """The parser's complaint without the box drawn around it."""
    words = " ".join(re.sub(r"(?m)^[\s|+─-╿]+|[\s|+─-╿]+$|-{3,}|─{3,}", " ", box).split())  # of any encoding
    words = re.split("For full helptext|Argument helptext", words)[0]
    words = re.sub(r"(?i)^([a-z]+ [a-z]+) (?=\1)", "", words)  # the box's title, and its text
    words = re.sub(r"^Required options? Missing from potstill .*?: ", "missing: ", words)
    if choice := re.match(r"invalid choice '(.*)' for argument '(.*)'. Expected one of \((.*)\)", words):
        value, argument, known = choice.groups()
        return str(unknown(argument.removeprefix("--").lower(), value, re.findall(r"'(.*?)'", known)))
    return re.sub(r"^(Value error )?Error parsing (training: )?", "", words).strip()
