import re
from typing import Any, NotRequired, TypedDict

import pytest

from potstill.runs.shapes import check


class Map(TypedDict):
    shape: list[int]


class Run(TypedDict):
    epoch: int
    terms: dict[str, float]
    maps: list[Map]
    note: NotRequired[str | None]
    arguments: NotRequired[dict[str, Any]]
    within: NotRequired["Run"]
    sure: NotRequired[bool | None]


GOOD = {"epoch": 3, "terms": {"CE": 0.5, "KD": 1}, "maps": [{"shape": [8, 8]}], "more": "is fine"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"note": None},
        {"note": "here"},
        {"terms": {}},
        {"arguments": {"a": None, "b": [True]}},
        {"within": GOOD},
        {"sure": True},
    ],
)
def test_what_fits(more):
    value = {**GOOD, **more}
    assert check(value, Run) is value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "it is [], not an object"),
        ({**GOOD, "epoch": "3"}, "epoch is '3', not a whole number"),
        ({**GOOD, "epoch": True}, "epoch is True, not a whole number"),
        ({**GOOD, "epoch": 3.5}, "epoch is 3.5, not a whole number"),
        ({**GOOD, "sure": 1}, "sure is 1, not true or false"),
        ({**GOOD, "epoch": None}, "epoch is None, not a whole number"),
        ({key: GOOD[key] for key in ("epoch", "maps")}, "terms is missing"),
        ({**GOOD, "terms": {"KD": None}}, "terms.KD is None, not a number"),
        ({**GOOD, "terms": {"KD": False}}, "terms.KD is False, not a number"),
        ({**GOOD, "maps": {}}, "maps is {}, not a list"),
        ({**GOOD, "maps": [{"shape": [8, "x"]}]}, "maps.0.shape.1 is 'x', not a whole number"),
        ({**GOOD, "note": 5}, "note is 5, not a string"),
        ({**GOOD, "arguments": [5]}, "arguments is [5], not an object"),
        ({**GOOD, "within": {**GOOD, "maps": [{}]}}, "within.maps.0.shape is missing"),
        ({**GOOD, "epoch": "x" * 90}, f"epoch is '{'x' * 39}…, not a whole number"),
    ],
)
def test_the_first_place_that_does_not(value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(value, Run)
