"""How long a network takes on this machine: never one number alone, always with its spread."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Annotated

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.eval_mode import eval_mode
from potstill.networks.cost import Shape, taking
from potstill.ranges import Count, Range

WARM_UP = 3
"""Runs that are not timed: they choose kernels and fill caches."""
FEWEST, MOST = 5, 200
"""Timed runs, however long or short one is."""

Seconds = Annotated[float, Range(0, 3600)]


@dataclass(frozen=True)
class Quartiles:
    """What lies in the middle of repeated measurements, and the quartiles around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True)
class Latency:
    """The times of a network's forward passes over a batch, in milliseconds, and where they were measured."""

    batch: int
    times: tuple[float, ...]
    device: str
    threads: int

    @property
    def milliseconds(self) -> Quartiles:
        """Median and quartiles of the times."""
        return _quartiles(self.times)

    def over(self, other: "Latency") -> Quartiles:
        """How many times as long as ``other`` this took, round by round: what slows down both does not count."""
        return _quartiles([mine / its for mine, its in zip(self.times, other.times, strict=True)])


@checked
def latency(
    network: nn.Module, input_shape: Shape = (3, 32, 32), batches: Sequence[Count] = (1, 64), seconds: Seconds = 2.0
) -> list[Latency]:
    """Measure a network's forward pass for each size of batch: `latencies` of one network.

    >>> import potstill as ps
    >>> one, four = ps.networks.latency(ps.networks.create("resnet8"), (3, 8, 8), batches=(1, 4), seconds=0.05)
    >>> four.batch, four.device, four.milliseconds.low <= four.milliseconds.median
    (4, 'cpu', True)
    """
    return [found for (found,) in latencies([network], input_shape, batches, seconds)]


@checked
def latencies(
    networks: Sequence[nn.Module],
    input_shape: Shape = (3, 32, 32),
    batches: Sequence[Count] = (1, 64),
    seconds: Seconds = 2.0,
) -> list[list[Latency]]:
    """Measure several networks side by side, in turns, so that whatever else the machine does slows all of them.

    Each runs where its parameters are, in eval mode, without gradients, on random images (batch, C, H, W) of
    ``input_shape``, first a few times unmeasured. A GPU is waited for before and after every run. Measuring goes on for
    about ``seconds`` a network and batch, 5 runs at least and 200 at most.

    Returns:
        For each size of batch, one measurement a network. They are left as they were.

    Raises:
        BadInput: a batch of no images, or a network that cannot take them.

    >>> import potstill as ps
    >>> networks = ps.networks.create("resnet8"), ps.networks.create("resnet20")
    >>> ((small, large),) = ps.networks.latencies(networks, (3, 8, 8), batches=(4,), seconds=0.1)
    >>> large.over(small).median > 0  # how many times as long the large one takes
    True
    """
    with ExitStack() as stack, torch.no_grad():
        for network in networks:
            stack.enter_context(eval_mode(network))
        return [_in_turns(networks, size, input_shape, seconds * len(networks)) for size in batches]


def _in_turns(networks: Sequence[nn.Module], size: int, input_shape: Shape, seconds: float) -> list[Latency]:
    batches = [_images(network, (size, *input_shape)) for network in networks]
    times: list[list[float]] = [[] for _ in networks]
    for network, images in zip(networks, batches, strict=True):
        with taking(network, input_shape):
            for _ in range(WARM_UP):
                network(images)
    end = perf_counter() + seconds
    turn = list(range(len(networks)))
    while len(times[0]) < FEWEST or (len(times[0]) < MOST and perf_counter() < end):
        for i in turn:
            times[i].append(_milliseconds(networks[i], batches[i]))
        turn.reverse()  # nobody always runs after the same one
    threads = torch.get_num_threads()
    return [
        Latency(size, tuple(own), _name(images.device), threads) for own, images in zip(times, batches, strict=True)
    ]


def _images(network: nn.Module, shape: tuple[int, ...]) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return drawn.to(like.device, like.dtype)


def _milliseconds(network: nn.Module, images: Tensor) -> float:
    _wait(images.device)
    start = perf_counter()
    network(images)
    _wait(images.device)
    return 1e3 * (perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _quartiles(values: Sequence[float]) -> Quartiles:
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Quartiles(median(values), low, high)
