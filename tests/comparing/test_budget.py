"""What fits into a budget: the arithmetic, and in which order a comparison becomes smaller."""

import re

import pytest

from potstill.comparing.budget import Size, Speed, choose
from potstill.errors import BadInput

SPEED = Speed({"alone": 100.0, "KD": 50.0}, "alone", overhead=5.0, tested=300, batch=10)
MOST = Size(epochs=100, seeds=3, images=1000)
HOUR = 3600


def hours(epochs, seeds, images):
    """By hand: 1/100 and 1/50 of a second an image, a second an epoch to measure, 5 to start."""
    return seeds * (10 + epochs * (images / 100 + images / 50 + 2)) / HOUR


@pytest.mark.parametrize(("given", "size"), [
    (hours(100, 10, 1000) * 5, (100, 10, 1000)),
    (hours(100, 10, 1000), (100, 10, 1000)),
    (hours(100, 7, 1000), (100, 7, 1000)),
    (hours(100, 3, 1000), (100, 3, 1000)),
    (hours(99.5, 3, 1000), (99, 3, 1000)),
    (hours(10, 3, 1000), (10, 3, 1000)),
    (hours(10, 3, 500), (10, 3, 500)),
    (hours(10, 3, 100), (10, 3, 100)),
])  # fmt: skip
def test_seeds_come_first_then_epochs_then_images(given, size):
    found = choose(given * 1.0000001, MOST, SPEED)
    assert (found.size.epochs, found.size.seeds, found.size.images) == size
    assert found.seconds <= given * HOUR * 1.0000001
    assert found.why


def test_too_little_is_refused_with_what_it_would_take():
    with pytest.raises(BadInput, match=re.escape(f"about {hours(10, 3, 100):.2g}; name fewer methods")):
        choose(hours(10, 3, 99), MOST, SPEED)


def test_seeds_that_were_asked_for_stay():
    assert choose(100.0, MOST, SPEED, seeds=2).size.seeds == 2
    assert choose(hours(50, 5, 1000) * 1.0000001, MOST, SPEED, seeds=5).size == Size(50, 5, 1000)


def test_trials_and_places_count():
    tuned = Speed(SPEED.rates, "alone", 5.0, 300, 10, trials=10)
    assert tuned.seconds(MOST) - SPEED.seconds(MOST) == pytest.approx(6 * (5 + 100 * 21))  # of KD alone
    assert Speed(SPEED.rates, "alone", 5.0, 300, 10, at_once=2).seconds(MOST) == SPEED.seconds(MOST) / 2


def test_a_run_that_is_short_already_is_not_made_longer():
    assert choose(hours(2, 3, 100) * 1.01, Size(2, 3, 200), SPEED).size == Size(2, 3, 103)
