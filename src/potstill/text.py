"""Text that others wrote, on its way to people: names of files, classes and learners, arguments, libraries' messages.

Nothing in it is read as markup, as a formula or as code. What a screen would obey or hide is spelled as Python spells
it, and nothing is longer than a person reads.
"""

import os
import re
import shlex
from html import escape

LONGEST_VALUE, LONGEST_MESSAGE = 200, 1000
"""Characters beyond which a value in a message, and a message, are shortened."""
SHORTENED_VALUE = 100
VALUES = re.compile(rf"(?<!\w)(['\"])(?:(?!\1).){{{LONGEST_VALUE - 1},}}\1(?!\w)|\S{{{LONGEST_VALUE + 1},}}")
"""What is quoted, or has no space in it, and is too long."""
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\t\r\n|]")  # noqa: RUF001 - the wide forms count for some spreadsheets
"""How a cell begins that a spreadsheet computes: https://owasp.org/www-community/attacks/CSV_Injection."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
IN_MARKDOWN = re.compile(r"[\\`|<\[\]]")


def is_text(path: object) -> bool:
    """Whether a path is UTF-8: file names are bytes and need not be, but files of text can hold no other ones.

    >>> is_text("runs/öl"), is_text("runs/\\udcff")
    (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in str(path))


def printable(text: str) -> str:
    r"""The text in one line: control characters, marks of direction and whatever else has no shape as escapes.

    >>> print(printable("a\x1b[31mb\nc\u202ed"))
    a\x1b[31mb\nc\u202ed
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def message(text: str) -> str:
    """A message in one line that a person can read: printable, with long values shortened in their middle.

    >>> print(message(f"no file {'x' * 5000!r}"))
    no file 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ... (5,002 characters) ... xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
    """
    line = VALUES.sub(lambda value: shortened(value[0], SHORTENED_VALUE), printable(text))
    return shortened(line, LONGEST_MESSAGE)


def shortened(text: str, length: int) -> str:
    """The text itself, or its beginning and its end, about ``length`` characters in all, and how many there were."""
    if len(text) <= length:
        return text
    gap = f" ... ({len(text):,} characters) ... "
    half = (length - len(gap) + 1) // 2
    return f"{text[:half]}{gap}{text[-half:]}"


def in_html(text: str) -> str:
    """The text for HTML, between tags or in an attribute's quotes."""
    return escape(printable(text))


def in_markdown(text: str) -> str:
    r"""The text for a cell of a table in Markdown.

    >>> print(in_markdown("a|b `c` <d>"))
    a\|b \`c\` \<d>
    """
    return IN_MARKDOWN.sub(r"\\\g<0>", printable(text))


def in_csv(text: str) -> str:
    """The text for a cell of a spreadsheet: never a formula. Numbers, also several between semicolons, stay numbers.

    >>> in_csv("=cmd()"), in_csv("-0.5"), in_csv("-0.5;;+1e-3"), in_csv("- no")
    ("'=cmd()", '-0.5', '-0.5;;+1e-3', "'- no")
    """
    if all(NUMBER.fullmatch(part) for part in text.split(";") if part):
        return text
    return ("'" if FORMULA.match(text) else "") + printable(text)


def in_docstring(text: str) -> str:
    r"""The text for the inside of three double quotes in generated Python, where it is nothing but text.

    >>> print(in_docstring('a\"""b\\'))
    a\"\"\"b\\
    """
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def in_shell(word: str) -> str:
    r"""A word of a command to be copied into a shell; what does not print becomes an escape in ``$'...'``.

    >>> print(in_shell("a b"), in_shell("a\nb"))
    'a b' $'a\x0ab'
    """
    if word.isprintable():
        return shlex.quote(word)
    shown = {"'": "\\'", "\\": "\\\\"}
    escaped = (
        shown.get(c, c) if c.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(c)) for c in word
    )
    return f"$'{''.join(escaped)}'"
