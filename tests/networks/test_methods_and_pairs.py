"""docs/methods-and-pairs.md holds what its tool writes: a drawn part of it is tried again."""

import importlib.util
import re
from pathlib import Path

import pytest
from drawn import drawn

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("methods", ROOT / "tools" / "write_methods_docs.py")
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)
PAGE = TOOL.PAGE.read_text(encoding="utf-8")
CELLS = {
    found[1]: found[2].split(" | ") for found in re.finditer(r"^\| \[(\w+)\]\S+ \| (.+) \|$", PAGE, flags=re.MULTILINE)
}
NOTES = dict(re.findall(r"^(\d+)\. (.+)$", PAGE, flags=re.MULTILINE))
FIRST = 0  # of the pairs, whose networks are small
CARDS = {card.name: card for card in TOOL.methods()}
REFUSED = [name for name, cells in CELLS.items() if cells[FIRST] != "+"]


@pytest.fixture(scope="module")
def prepared():
    pair = TOOL.chosen()[FIRST]
    networks, batch = TOOL.networks_of(pair), TOOL.batch_of(pair.size)
    return networks, TOOL.matched(networks, batch["images"][:2]), batch


def test_every_method_has_ten_cells_and_every_note_is_a_sentence_of_ours():
    assert list(CELLS) == list(CARDS)
    assert {len(cells) for cells in CELLS.values()} == {10}
    assert {cell for cells in CELLS.values() for cell in cells} == {"+", *NOTES}
    assert all(any(note.startswith((name, "the backward pass")) for name in CARDS) for note in NOTES.values())


@pytest.mark.parametrize("name", sorted({*drawn(CARDS, 6), *REFUSED}))
def test_a_cell_is_what_comes_out(name, prepared):
    TOOL.torch.manual_seed(0)
    said = TOOL.step(CARDS[name], *prepared)
    assert said == NOTES.get(CELLS[name][FIRST], "")
