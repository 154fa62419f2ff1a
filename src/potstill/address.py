"""Addresses: tensors named by text, ``NETWORK[@INPUT][#PART][.PATH[:in][:map]]``, or an entry of the batch.

| address | the tensor |
|---|---|
| ``labels``, ``index``, any entry of the batch | as the loader gave it |
| ``epoch``, ``progress`` | scalars on the device; progress is the part of the training that is done, from 0 to 1 |
| ``student`` | what the network returns, see `potstill.outputs` |
| ``student#1``, ``teacher#pooler_output``, ``teacher#hidden_states#3`` | a part of what it returns |
| ``student.layer3``, ``teacher.fc:in``, ``student.blocks.8:map`` | what a submodule returns, or takes; as a map |
| ``teacher.fc.weight`` | a parameter or buffer |
| ``student@strong.layer3`` | the same of the network run on another input: an entry, or another network's output |
"""

import re
from dataclasses import dataclass

from potstill.errors import BadInput

GRAMMAR = "NETWORK[@INPUT][#PART][.PATH[:in][:map]]"
PATTERN = re.compile(r"(?P<network>[^@#.]+)(@(?P<input>[^@#.]+))?(#(?P<part>[^@#.]+(#[^@#.]+)*))?(\.(?P<path>[^@#]+))?")


@dataclass(frozen=True)
class Address:
    """An address, taken apart; ``network`` may be the name of an entry, and then nothing follows it.

    >>> Address.parse("student@strong.layer3:in")
    Address(network='student', input='strong', part=None, path='layer3:in')
    >>> str(Address("teacher", part="pooler_output"))
    'teacher#pooler_output'
    """

    network: str
    input: str | None = None
    part: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Take an address apart.

        Raises:
            BadInput: it is not of the grammar.
        """
        found = PATTERN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise BadInput(f"{text!r} is no address; the form is {GRAMMAR}")
        return cls(found["network"], found["input"], found["part"], found["path"])

    def __str__(self) -> str:
        ends = (("@", self.input), ("#", self.part), (".", self.path))
        return self.network + "".join(f"{sign}{end}" for sign, end in ends if end is not None)

    @property
    def is_output(self) -> bool:
        """Whether it is what the network returns, and no part of that."""
        return self.part is None and self.path is None


def owner(text: str) -> str:
    """The name that an address begins with: a network's, or an entry's.

    >>> owner("student@strong.layer3"), owner("labels")
    ('student', 'labels')
    """
    return Address.parse(text).network
