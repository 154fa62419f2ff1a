import time

import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, latencies, latency
from potstill.networks.latency import FEWEST, MOST, WARM_UP, Latency


class Sleeper(nn.Module):
    """Takes a time that is known, and writes down how it was called."""

    def __init__(self, name="a", seconds=0.0, calls=None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.name, self.seconds, self.calls = name, seconds, [] if calls is None else calls

    def forward(self, images):
        self.calls.append((self.name, tuple(images.shape), images.dtype, self.training, torch.is_grad_enabled()))
        time.sleep(self.seconds)
        return images


def test_milliseconds_with_their_spread():
    (one,) = latency(Sleeper(seconds=0.02), batches=(3,), seconds=0.0)
    assert min(one.times) >= 20
    assert min(one.times) <= one.milliseconds.low <= one.milliseconds.median <= one.milliseconds.high <= max(one.times)
    assert one.milliseconds.median < 200
    assert (one.batch, one.device, one.threads) == (3, "cpu", torch.get_num_threads())
    assert len(one.times) == FEWEST


def test_it_goes_on_for_the_time_given_but_not_for_ever():
    (short,) = latency(Sleeper(seconds=0.01), batches=(1,), seconds=0.3)
    assert FEWEST < len(short.times) <= 30
    (quick,) = latency(Sleeper(), batches=(1,), seconds=60.0)
    assert len(quick.times) == MOST


def test_networks_take_turns_after_a_warm_up():
    calls = []
    pair = [Sleeper(name, calls=calls) for name in "ab"]
    found = latencies(pair, (3, 4, 5), batches=(1, 7), seconds=0.0)
    assert [[one.batch for one in row] for row in found] == [[1, 1], [7, 7]]
    shapes = [call[1] for call in calls]
    each = len(calls) // 2
    assert shapes == [(1, 3, 4, 5)] * each + [(7, 3, 4, 5)] * each
    timed = "".join(call[0] for call in calls[:each])[2 * WARM_UP :]
    assert timed == ("abba" * FEWEST)[: 2 * FEWEST]


def test_in_eval_mode_without_gradients_and_left_as_it_was():
    network = Sleeper().train()
    latency(network, batches=(1,), seconds=0.0)
    assert {call[2:] for call in network.calls} == {(torch.float64, False, False)}
    assert network.training


def test_the_callers_random_numbers_are_left_alone():
    network, before = create("resnet8"), torch.get_rng_state()
    latency(network, batches=(1,), seconds=0.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_ratios_are_taken_round_by_round():
    # Something else slowed down every second round tenfold; the one takes twice the other's time all the same.
    slow, quick = Latency(1, (2, 20, 2, 20, 4), "cpu", 1), Latency(1, (1, 10, 1, 10, 1), "cpu", 1)
    assert slow.over(quick).median == slow.over(quick).low == slow.over(quick).high == 2
    assert str(slow.over(slow)) == "1 (1 to 1)"


def test_quartiles():
    spread = Latency(1, (5.0, 1.0, 4.0, 2.0, 3.0), "cpu", 1).milliseconds
    assert (spread.low, spread.median, spread.high) == (2, 3, 4)


@pytest.mark.parametrize(
    ("shape", "batches", "message"),
    [
        ((3, 32, 32), (1, 0), "^latencies: batches must be 1 or more, not 0"),
        ((1, 32, 32), (1,), r"^CifarResNet cannot take an image of shape \(1, 32, 32\)"),
    ],
)
def test_what_cannot_be_measured(shape, batches, message):
    with pytest.raises(BadInput, match=message):
        latencies([Sleeper(), create("resnet8"), Sleeper()], shape, batches)
