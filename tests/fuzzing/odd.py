"""Odd values, and small damage to sound ones: what all domains are made of."""

import json
from typing import Any

from hypothesis import strategies as st

TEXTS = (
    *("", " ", "\t", "\n", "a\nb", "\r", "-", "--", "---", "-1", "~", "~nobody", ".", "..", "../..", "/", "//", "./x"),
    *("*", "?", "[a", "a]", "[/b]", "[bold]x", "[link=http://a]", "\x1b[31mred", "\x07", "\x7f", "\u202eabc", "\u200b"),
    *("'", '"', '"""', "\\", "\\n", "`", "$(x)", "${HOME}", "%s", "%(a)s", "{}", "{0}", "{a!r}", "<script>"),
    *("</script>",),
    *("&amp;", "=cmd()", "+1", "@x", "#", ";", ",", ":", ":x", "x:", "a:b:c", "::", "|", "&", "None", "null", "true"),
    *("é", "e\u0301", "ß", "İ", "\U0001f41f", "\ud800", "\udcff", "\ufeff", "x" * 300, "x" * 5000, "(" * 200),
    *("[" * 3000,),
    *("__class__", "__import__('os')", "lambda: 0", "1 if 1 else 2", "os.system", "con", "nul", "a/b", "a\\b", "a b"),
)
NUMBERS = (
    *("0", "1", "2", "-0", "-1", "0.5", "1e-400", "1e400", "-1e400", "nan", "NaN", "inf", "-inf", "Infinity", "1e308"),
    *("9" * 30, "-" + "9" * 30, "9" * 5000, str(2**31), str(2**63 - 1), str(2**63), str(2**64), "1_000", "0x10", "0b1"),
    *("1e3", "1.", ".5", "1j", "٣", "²", "1/0", "1/2", "1e", "+5", "00", "007", "1,5", "1 2", "True", "1e5", "65536"),
)
JSON = (
    *("null", "true", "false", "0", "-1", "1", "0.5", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 30),
    *("1" * 5000,),
    *('""', '"x"', '"\\ud800"', '"\\u0000"', '"[/b]"', '"<script>fuzzed()</script>"', '"\\u001b[31m"', '"\\n"'),
    *('"../../x"',),
    *("[]", "{}", "[[]]", '{"": {}}', "[null]", '[1, "a"]', "[0, 0, 0]", "[" * 40 + "]" * 40, "[" * 20000),
    *('{"a":' * 20000,),
    *('"' + "x" * 3000 + '"', '"/etc/passwd"', '"nowhere.py:net"', '"resnet8"', '"wrn-10-1"', "2147483648", str(2**40)),
)


def texts(nul: bool = True) -> st.SearchStrategy[str]:
    """Odd texts, and random ones; ``nul``: with the characters that no argument of a command can hold."""
    random = st.text(max_size=12) if nul else st.text(st.characters(exclude_characters="\0"), max_size=12)
    return st.sampled_from(TEXTS) | st.sampled_from(NUMBERS) | random


def numbers() -> st.SearchStrategy[str]:
    """Numbers as people and attackers write them."""
    return st.sampled_from(NUMBERS) | st.integers(-300, 300).map(str) | st.floats().map(repr)


@st.composite
def misspelt(draw: st.DrawFn, sound: tuple[str, ...] | list[str], tokens: tuple[str, ...] = ()) -> str:
    """One of the sound texts, or one with a few places changed: cut, doubled, swapped, or ``tokens`` put in."""
    text = draw(st.sampled_from(list(sound)))
    payload = st.sampled_from(tokens or TEXTS) | texts() | numbers()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 5)))
        how = draw(st.sampled_from(("cut", "double", "put", "replace", "swap", "case")))
        piece = text[start:end]
        middle = {"cut": "", "double": piece * 2, "swap": piece[::-1], "case": piece.swapcase()}.get(how)
        if middle is None:
            middle = draw(payload) + (piece if how == "put" else "")
        text = text[:start] + middle + text[end:]
    return text


Damage = list[tuple[str, int, bytes]]


def damage() -> st.SearchStrategy[Damage]:
    """What `damaged` does to a file: kinds, places in millionths of its length, and bytes."""
    kinds = st.sampled_from(("flip", "flip", "set", "insert", "cut", "end", "zero", "repeat"))
    return st.lists(st.tuples(kinds, st.integers(0, 1_000_000), st.binary(min_size=1, max_size=8)), max_size=4)


def damaged(content: bytes, changes: Damage) -> bytes:
    """The content after these changes."""
    for kind, millionth, piece in changes:
        at = len(content) * millionth // 1_000_000
        # Headers are a small part of a file and most of what can go wrong: every other change is among the first bytes.
        at = at % 400 if piece[0] % 2 and len(content) > 400 else at
        if kind == "end":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + piece + content[at:]
        elif kind == "cut":
            content = content[:at] + content[at + len(piece) :]
        elif kind == "repeat":
            content = content[:at] + content[at : at + 64] + content[at:]
        elif at < len(content):
            size = min(len(piece), len(content) - at)
            new = {"flip": bytes([content[at] ^ (1 << piece[0] % 8)]), "set": piece[:size], "zero": bytes(size)}[kind]
            content = content[:at] + new + content[at + len(new) :]
    return content


Edit = tuple[str, int, str]


def edits() -> st.SearchStrategy[list[Edit]]:
    """What `edited` does to JSON: kinds, which of its places, and the text put there."""
    kinds = st.sampled_from(("set", "set", "set", "drop", "rename", "add", "wrap", "copy"))
    values = st.sampled_from(JSON) | texts().map(json.dumps) | numbers()
    return st.lists(st.tuples(kinds, st.integers(0, 10**6), values), min_size=1, max_size=3)


def edited(content: Any, changes: list[Edit]) -> str:
    """JSON text of the content after these changes; values are put in as they are, JSON or not."""
    raw: dict[str, str] = {}
    root = [content]
    for kind, which, text in changes:
        places = list(_places(root))
        container, key = places[which % len(places)]
        mark = f"\0{len(raw)}\0"
        raw[json.dumps(mark)] = text
        old = container[key]
        if kind == "drop" and container is not root:
            del container[key]
        elif kind == "rename" and isinstance(container, dict):
            container[mark] = container.pop(key)
            raw[json.dumps(mark)] = text if text.startswith('"') and len(text) < 5000 else json.dumps(text[:50])
        elif kind == "add" and isinstance(old, dict | list):
            old.append(mark) if isinstance(old, list) else old.update({"added": mark})
        elif kind == "wrap":
            container[key] = [old]
        elif kind == "copy":
            other, name = places[(which * 7 + 3) % len(places)]
            container[key] = json.loads(json.dumps(other[name]))
        else:
            container[key] = mark
    text = json.dumps(root[0])
    for mark, value in raw.items():
        text = text.replace(mark, value)
    return text


def _places(container: Any) -> Any:
    """Every container inside, with each of its keys."""
    for key in list(container) if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])
