"""Holm's correction against the closure of Bonferroni's test, by which it is proved."""

import random
from itertools import combinations

import pytest

from potstill.statistics import holm


def closed(probabilities):
    """The adjusted p of each test: the worst, over all sets of tests with it, of Bonferroni's p of the set."""
    tests = range(len(probabilities))
    sets = [chosen for size in range(1, len(probabilities) + 1) for chosen in combinations(tests, size)]
    together = {chosen: min(1.0, len(chosen) * min(probabilities[i] for i in chosen)) for chosen in sets}
    return [max(p for chosen, p in together.items() if i in chosen) for i in tests]


def test_against_brute_force():
    draw = random.Random(17)
    for _ in range(300):
        probabilities = [draw.choice([draw.random(), draw.random() / 100, 0.01]) for _ in range(draw.randint(1, 6))]
        assert holm(probabilities) == pytest.approx(closed(probabilities), rel=1e-12)


def test_the_order_is_kept_and_nothing_exceeds_1():
    assert holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
