"""Schedules against their definitions, epoch by epoch."""

import math

import pytest

from potstill.schedules import cosine, from_epoch, linear, milestones, steps, warmup


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (cosine(3.0, 4), [3 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]),
        (cosine(3.0, 4), [3.0, 3 * (2 + math.sqrt(2)) / 4, 1.5, 3 * (2 - math.sqrt(2)) / 4]),
        (linear(3.0, 4), [3.0, 2.25, 1.5, 0.75, 0.0, 0.0]),
        (warmup(3.0, 4), [0.75, 1.5, 2.25, 3.0, 3.0]),
        (warmup(3.0, 3, from_zero=True), [0.0, 1.0, 2.0, 3.0, 3.0]),
        (steps([0.5, 2.0, 0.0], [1, 3]), [0.5, 2.0, 2.0, 0.0, 0.0]),
        (milestones(4.0, [1, 3, 3], 0.5), [4.0, 2.0, 2.0, 0.5]),
        (from_epoch(4.0, 2), [0.0, 0.0, 4.0, 4.0]),
        (from_epoch(linear(3.0, 4), 2), [0.0, 0.0, 1.5, 0.75]),
    ],
)
def test_values(schedule, expected):
    assert [schedule(epoch) for epoch in range(len(expected))] == pytest.approx(expected, abs=1e-12)
