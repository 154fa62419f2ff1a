"""Addresses: read, written back, and looked up in a real network."""

from pathlib import Path

from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import misspelt
from fuzzing.small import batch, networks
from potstill.address import Address

SOUND = (
    *("labels", "index", "epoch", "progress", "student", "teacher#0", "student#a#b", "student.fc", "student.fc:in"),
    *("student.block1.0.conv1", "student.stage1:map", "student@strong.stage3:in", "student.fc.weight"),
    *("teacher.layer3:in:map",),
    *("student@teacher", "student@images#0.fc", "teacher.bn1.running_mean", "student.pooled", "student.block2:map"),
)
TOKENS = (
    "@",
    "#",
    ".",
    ":",
    ":in",
    ":map",
    "student",
    "teacher",
    "images",
    "labels",
    "0",
    "fc",
    "stage1",
    "..",
    "@@",
    "##",
)


def run(value: tuple[str, bool], folder: Path) -> None:
    """An address survives being read and written; the network says what is there."""
    text, look = value
    address = Address.parse(text)
    assert Address.parse(str(address)) == address
    assert str(address) == text
    if look:
        terms = [ps.Term(_mean, "student"), ps.Term(_mean, text, name="fuzzed")]
        with ps.Distiller(networks(), terms, example=batch()) as distiller:
            distiller(batch())


def _mean(value, *others):
    return value.float().mean()


ADDRESSES = Domain(st.tuples(misspelt(SOUND, TOKENS), st.integers(0, 7).map(lambda number: number == 0)), run)
