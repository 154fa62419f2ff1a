"""Student's t against scipy's, and against the figures everybody prints."""

import random
from math import inf

import pytest
from scipy import stats

from potstill.statistics import t_quantile, t_two_sided


def test_probabilities_are_those_of_scipy():
    draw = random.Random(17)
    for _ in range(1000):
        freedom, t = draw.choice([1, 2, 3, 4, 5, 9, 30, 99, 999]), 10 ** draw.uniform(-3, 4)
        expected = 2 * stats.t.sf(t, freedom)
        assert t_two_sided(t, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-300), (t, freedom)
        assert t_two_sided(-t, freedom) == t_two_sided(t, freedom)


def test_quantiles_are_those_of_scipy_and_of_printed_tables():
    for freedom in (1, 2, 3, 4, 9, 29, 999):
        for probability in (0.9, 0.05, 0.01, 0.05 / 300, 1e-9):
            expected = stats.t.isf(probability / 2, freedom)
            assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-11)
    assert [round(t_quantile(0.05, n), 3) for n in (1, 2, 3, 4, 9)] == [12.706, 4.303, 3.182, 2.776, 2.262]


def test_ends():
    assert (t_two_sided(0.0, 3), t_two_sided(1e-200, 3), t_two_sided(1e200, 3)) == (1, 1, 0)
    assert t_two_sided(inf, 1) == t_two_sided(-inf, 1) == 0
    for freedom, probability in ((0, 0.05), (2, 0.0), (2, 1.0)):
        with pytest.raises(AssertionError):
            t_quantile(probability, freedom)
