"""Pickles read as descriptions: what a file asks to be made is written down, and nothing of it is made.

A pickle is a program that calls whatever it names. Here nothing is ever called or imported: a call becomes a `Thing`,
which is then looked at for the few that mean a tensor.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST_STEPS = 1_000_000
"""Steps of a pickle that is still read: tens of thousands of tensors have fewer, and none of so many fills a memory."""


@dataclass(frozen=True)
class Global:
    """The name of a function or class."""

    name: str


@dataclass(frozen=True)
class Persistent:
    """A reference to something beside the pickle: a storage."""

    id: Any


@dataclass(eq=False, slots=True)
class Thing:
    """What would be made by calling ``made_by``; entries, elements and a state would be given to it then."""

    made_by: Any
    args: Any = ()
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    elements: list[Any] = field(default_factory=list)
    state: Any = None

    @property
    def kind(self) -> str:
        """What makes it, by name; empty if that is no name."""
        return self.made_by.name if isinstance(self.made_by, Global) else ""


def read_pickle(stream: BinaryIO, persistent: "list[Persistent] | None" = None) -> Any:
    """The description of the pickle that begins here; the stream stands behind it then.

    References are also put into ``persistent``. Dictionaries and sets are things, too: nothing is compared or hashed.

    Raises:
        ValueError, IndexError, KeyError, TypeError: it is damaged, no pickle, or of more than `MOST_STEPS` steps.
    """
    reader = _Reader(persistent=[] if persistent is None else persistent)
    for steps, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if steps > MOST_STEPS:
            raise ValueError("a pickle of too many steps")
        if operation.name == "STOP":
            return reader.stack.pop()
        OPERATIONS[operation.name](reader, argument)
    raise ValueError("a pickle without an end")


@dataclass
class _Reader:
    """A pickle's stack, marks in it, memo, and the references so far."""

    persistent: list[Persistent]
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop(self) -> Any:
        return self.marks.pop() if self.marks and self.marks[-1] == len(self.stack) else self.stack.pop()

    def thing(self, made_by: Any, args: Any = ()) -> None:
        self.stack.append(Thing(made_by, args))

    def call(self, arguments: int = 1) -> None:
        """Of what lies below its arguments; keywords, a second one, say nothing about tensors."""
        made_by, args, *_ = self.stack[-1 - arguments :]
        del self.stack[-1 - arguments :]
        self.thing(made_by, args)

    def call_marked(self) -> None:
        made_by, *args = self.since_mark()
        self.thing(made_by, tuple(args))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.elements if isinstance(target, Thing) else target).extend(items)

    def set_items(self, items: list[Any]) -> None:
        self.stack[-1].pairs.extend(zip(items[::2], items[1::2], strict=True))

    def set_state(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Thing):
            self.stack[-1].state = state

    def refer(self, to: Any) -> None:
        self.persistent.append(Persistent(to))
        self.stack.append(self.persistent[-1])

    def name(self) -> None:
        name = self.stack.pop()
        self.stack.append(Global(f"{self.stack.pop()}.{name}"))

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)


def _global(text: str) -> Global:
    return Global(text.replace(" ", ".", 1))


def _dictionary(reader: _Reader) -> None:
    items = reader.since_mark()
    reader.thing(Global("builtins.dict"))
    reader.set_items(items)


def _frozen_set(reader: _Reader) -> None:
    items = reader.since_mark()
    reader.thing(Global("builtins.frozenset"))
    reader.extend(items)


Operation = Callable[[_Reader, Any], object]
VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(VALUES, lambda reader, value: reader.stack.append(value)),
    **dict.fromkeys(("PROTO", "FRAME"), lambda reader, _: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda reader, at: reader.memo.update({at: reader.stack[-1]})),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda reader, at: reader.stack.append(reader.memo[at])),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), lambda reader, code: reader.stack.append(Global(f"copyreg.{code}"))),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda reader, _: reader.call()),
    "MEMOIZE": lambda reader, _: reader.memo.update({len(reader.memo): reader.stack[-1]}),
    "NONE": lambda reader, _: reader.stack.append(None),
    "NEWTRUE": lambda reader, _: reader.stack.append(True),
    "NEWFALSE": lambda reader, _: reader.stack.append(False),
    "MARK": lambda reader, _: reader.marks.append(len(reader.stack)),
    "POP": lambda reader, _: reader.pop(),
    "POP_MARK": lambda reader, _: reader.since_mark(),
    "DUP": lambda reader, _: reader.stack.append(reader.stack[-1]),
    "EMPTY_LIST": lambda reader, _: reader.stack.append([]),
    "EMPTY_TUPLE": lambda reader, _: reader.stack.append(()),
    "EMPTY_DICT": lambda reader, _: reader.thing(Global("builtins.dict")),
    "EMPTY_SET": lambda reader, _: reader.thing(Global("builtins.set")),
    "LIST": lambda reader, _: reader.stack.append(reader.since_mark()),
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.since_mark())),
    "TUPLE1": lambda reader, _: reader.tuple_of(1),
    "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "DICT": lambda reader, _: _dictionary(reader),
    "FROZENSET": lambda reader, _: _frozen_set(reader),
    "APPEND": lambda reader, _: reader.extend([reader.stack.pop()]),
    "APPENDS": lambda reader, _: reader.extend(reader.since_mark()),
    "ADDITEMS": lambda reader, _: reader.extend(reader.since_mark()),
    "SETITEM": lambda reader, _: reader.set_items([reader.stack.pop(-2), reader.stack.pop()]),
    "SETITEMS": lambda reader, _: reader.set_items(reader.since_mark()),
    "GLOBAL": lambda reader, text: reader.stack.append(_global(text)),
    "STACK_GLOBAL": lambda reader, _: reader.name(),
    "INST": lambda reader, text: reader.thing(_global(text), tuple(reader.since_mark())),
    "OBJ": lambda reader, _: reader.call_marked(),
    "NEWOBJ_EX": lambda reader, _: reader.call(2),
    "BUILD": lambda reader, _: reader.set_state(),
    "PERSID": lambda reader, text: reader.refer(text),
    "BINPERSID": lambda reader, _: reader.refer(reader.stack.pop()),
}
