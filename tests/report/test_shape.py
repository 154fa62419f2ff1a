import re

import pytest

from potstill.report.shape import NUMBER, Each, check

RUN = {"epoch": int, "terms": Each(NUMBER), "maps": [{"shape": [int]}], "note?": str}
GOOD = {"epoch": 3, "terms": {"CE": 0.5, "KD": 1}, "maps": [{"shape": [8, 8]}], "more": "is fine"}


@pytest.mark.parametrize("more", [{}, {"note": None}, {"note": "here"}, {"terms": {}}, {"terms": {"odd?": 1.5}}])
def test_what_fits(more):
    check({**GOOD, **more}, RUN)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "it is [], not an object"),
        ({**GOOD, "epoch": "3"}, "epoch is '3', not a whole number"),
        ({**GOOD, "epoch": True}, "epoch is True, not a whole number"),
        ({**GOOD, "epoch": 3.5}, "epoch is 3.5, not a whole number"),
        ({**GOOD, "epoch": None}, "epoch is None, not a whole number"),
        ({key: GOOD[key] for key in ("epoch", "maps")}, "terms is missing"),
        ({**GOOD, "terms": {"KD": None}}, "terms.KD is None, not a number"),
        ({**GOOD, "terms": {"odd?": None}}, "terms.odd? is None, not a number"),
        ({**GOOD, "maps": {}}, "maps is {}, not a list"),
        ({**GOOD, "maps": [{"shape": [8, "x"]}]}, "maps.0.shape.1 is 'x', not a whole number"),
        ({**GOOD, "note": 5}, "note is 5, not a string"),
        ({**GOOD, "epoch": "x" * 90}, f"epoch is '{'x' * 39}…, not a whole number"),
    ],
)
def test_the_first_place_that_does_not(value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(value, RUN)
