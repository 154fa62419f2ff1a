"""Verdicts: of methods that do nothing, that spoil, that help; how many are wrong, and how many seeds would decide."""

import random
from collections import Counter
from math import nan, sqrt

import pytest
from scipy import stats

from potstill.statistics import Paired, Verdict, judge
from potstill.statistics.verdict import MOST

BETTER, WORSE, UNDECIDED = Verdict.BETTER, Verdict.WORSE, Verdict.UNDECIDED


def study(number, gains, seeds=3, spread=0.3):
    """Verdicts on methods of these true gains, by simulated runs."""
    draw = random.Random(number)
    baseline = {seed: draw.gauss(70, spread) for seed in range(seeds)}
    methods = [{seed: draw.gauss(70 + gain, spread) for seed in baseline} for gain in gains]
    return [found.verdict for found in judge([Paired.of(method, baseline) for method in methods])]


def test_twenty_studies_of_a_method_that_does_nothing_and_one_that_spoils():
    wrong = [found for number in range(20) if (found := study(number, (0, -10))) != [UNDECIDED, WORSE]]
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(("gains", "seeds"), [((0,), 3), ((0, -10), 3), ((0, 0, 0, 0), 5)])
def test_studies_with_a_wrong_verdict_are_as_few_as_is_said(gains, seeds):
    """Of all methods of a study, however many: that is what Holm's correction is for."""
    tries, allowed = 500, {0: {UNDECIDED}, -10: {UNDECIDED, WORSE}}
    wrong = sum(
        any(verdict not in allowed[gain] for verdict, gain in zip(study(number, gains, seeds), gains, strict=True))
        for number in range(tries)
    )
    assert wrong / tries < 0.05 + 3 * sqrt(0.05 * 0.95 / tries)


def test_helping_spoiling_and_nothing_are_told_apart():
    found = Counter(tuple(study(number, (3, 0, -3), seeds=6)) for number in range(100))
    assert found[BETTER, UNDECIDED, WORSE] >= 90


def of(*differences):
    return Paired.of(dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0))


def test_correction_turns_a_verdict():
    small, *others = (of(1.0, 1.2, 1.5), *[of(0.2, -0.1, 0.1)] * 9)
    (alone,) = judge([small])
    together = judge([small, *others])[0]
    assert (alone.verdict, together.verdict) == (BETTER, UNDECIDED)
    assert together.adjusted == pytest.approx(10 * alone.adjusted)
    assert judge([small, *[of(0.2)] * 9])[0] == alone  # methods of one seed are no tests yet


def test_further_seeds_are_the_fewest_that_decide():
    differences, others = (0.6, 0.1, 0.3), 4
    found = judge([of(*differences)] + [of(0.1, -0.1, 0.05)] * others)[0]
    assert found.verdict is UNDECIDED
    mean, std = 1 / 3, stats.tstd(differences)
    decides = [2 * stats.t.sf(mean * sqrt(n) / std, n - 1) <= 0.05 / (1 + others) for n in range(3, 100)]
    assert found.further == decides.index(True)
    assert str(found) == f"UNDECIDED, {found.further} more seeds"


def test_what_has_been_decided_asks_no_more_of_the_others():
    clear, open_ = of(5.0, 5.1, 5.2), of(0.6, 0.1, 0.3)
    assert [found.verdict for found in judge([clear, open_])] == [BETTER, UNDECIDED]
    assert judge([clear, open_])[1].further == judge([open_])[0].further


def test_a_gain_of_nothing_needs_more_seeds_than_anybody_runs():
    (found,) = judge([of(0.5, -0.5, 0.001)])
    assert (found.verdict, found.further, str(found)) == (UNDECIDED, None, f"UNDECIDED, over {MOST:,} seeds")


@pytest.mark.parametrize(("pair", "text"), [
    (of(), "UNDECIDED: no seed that both have"),
    (of(9.0), "UNDECIDED: a single seed has no spread"),
    (of(9.0, 9.0, 9.0), "UNDECIDED: all 3 differences are equal, which tells no spread"),
    (of(9.0, nan), "UNDECIDED: seed 1 has no finite number"),
])  # fmt: skip
def test_without_an_interval_nothing_is_decided_and_that_is_said(pair, text):
    (found,) = judge([pair])
    assert (str(found), found.adjusted, found.further) == (text, None, None)


def test_what_has_no_probability_counts_as_a_test():
    clear = of(1.0, 1.2, 1.5)
    (alone,) = judge([clear])
    assert judge([clear, of(0.0, 0.0)])[0].adjusted == 2 * alone.adjusted


def test_no_methods():
    assert judge([]) == []
