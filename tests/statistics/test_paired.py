"""Paired differences: against scipy on random tables, how often their intervals hold, and those without one."""

import random
from math import inf, nan, sqrt

import pytest
from scipy import stats

from potstill.statistics import Paired


def accuracies(draw, seeds, mean=70.0, spread=0.5):
    return {seed: draw.gauss(mean, spread) for seed in seeds}


def test_a_thousand_random_tables_against_scipy():
    draw = random.Random(17)
    for _ in range(1000):
        count, shift, spread = draw.randint(2, 12), draw.uniform(-3, 3), 10 ** draw.uniform(-2, 1)
        theirs = accuracies(draw, range(count), spread=spread)
        ours = accuracies(draw, range(count), 70 + shift, spread)
        pair = Paired.of(ours, theirs)
        expected = stats.ttest_rel([ours[i] for i in range(count)], [theirs[i] for i in range(count)])
        assert pair.probability == pytest.approx(expected.pvalue, rel=1e-9)
        assert pair.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-9, abs=1e-9)
    assert pair.interval(0.01) == pytest.approx(tuple(expected.confidence_interval(0.99)), rel=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(count):
    draw, tries, truth = random.Random(count), 2000, 0.3
    held = 0
    for _ in range(tries):
        hard = accuracies(draw, range(count), 0, 2)  # what both rows have of a seed, and pairing takes out
        theirs = {seed: 70 + hard[seed] + draw.gauss(0, 0.4) for seed in hard}
        ours = {seed: 70 + truth + hard[seed] + draw.gauss(0, 0.4) for seed in hard}
        low, high = Paired.of(ours, theirs).interval()
        held += low <= truth <= high
    assert abs(held / tries - 0.95) < 3 * sqrt(0.95 * 0.05 / tries)


def test_seeds_that_both_have_are_paired_whatever_their_order():
    pair = Paired.of({5: 75.0, 2: 72.5, 0: 71.0}, {0: 70.0, 7: 1.0, 2: 70.0})
    assert (pair.seeds, pair.differences, pair.mean) == ((0, 2), (1.0, 2.5), 1.75)


@pytest.mark.parametrize(("ours", "mean", "trouble"), [
    ({}, None, "no seed that both have"),
    ({3: 71.0}, 1.0, "a single seed has no spread"),
    ({0: 70.0, 1: 70.0}, 0.0, "all 2 differences are equal, which tells no spread"),
    ({0: 70.5, 1: 70.5, 2: 70.5}, 0.5, "all 3 differences are equal, which tells no spread"),
    ({0: 70.0, 1: nan, 2: inf}, None, "seed 1 has no finite number"),
])  # fmt: skip
def test_what_has_no_interval_says_why(ours, mean, trouble):
    pair = Paired.of(ours, dict.fromkeys(range(4), 70.0))
    assert (pair.mean, pair.trouble) == (mean, trouble)
    assert pair.std is pair.probability is pair.interval() is None


def test_rounding_is_no_spread_and_the_smallest_step_is_one():
    theirs = {seed: 100 * right / 360 for seed, right in enumerate((101, 302, 340))}
    same = {seed: 100 * (right + 2) / 360 for seed, right in enumerate((101, 302, 340))}
    assert len(set(Paired.of(same, theirs).differences)) > 1  # by rounding alone
    assert Paired.of(same, theirs).trouble
    of_a_million = {0: 70.0, 1: 70.0001}
    assert Paired.of(of_a_million, {0: 70.0, 1: 70.0}).trouble == ""
