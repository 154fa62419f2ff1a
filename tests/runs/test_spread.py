import pytest

from potstill.runs.spread import Spread


def test_mean_and_deviation_of_the_sample():
    spread = Spread((1.0, 2.0, 6.0))
    assert (spread.mean, spread.std) == (3.0, pytest.approx(7**0.5))
    assert (str(spread), spread.text(0)) == ("3.00 ± 2.65", "3 ± 3")
    assert spread.plain() == {"mean": 3.0, "std": spread.std, "values": [1.0, 2.0, 6.0]}


def test_one_value_has_no_spread():
    assert (Spread((1234.5,)).std, Spread((1234.5,)).text(1)) == (None, "1,234.5")
