"""When to stop: a signal that any rank gets stops all of them after the same step."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from potstill import signals
from potstill.ranks.world import World

if TYPE_CHECKING:
    import torch.distributed as dist


class Stop:
    """Asks all ranks at every step whether one of them has been asked to end, and knows at the next.

    Args:
        world: the ranks.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: tuple[Tensor, dist.Work] | None = None

    def between(self) -> None:
        """Between two steps.

        Raises:
            Interrupted: a rank has got SIGINT.
            Terminated: or another signal that ends it.
        """
        before, self.asked = self.asked, None
        number = self._answer(before)
        if number:
            raise signals.exception_of(number)
        self.asked = self._ask()

    def now(self) -> None:
        """The same where there is no next step to wait for."""
        before, self.asked = self.asked, None
        number = self._answer(before) or self._answer(self._ask())
        if number:
            raise signals.exception_of(number)

    def _ask(self) -> "tuple[Tensor, dist.Work]":
        number = torch.tensor(signals.waiting() or 0)
        return number, self.world.largest(number)

    def _answer(self, asked: "tuple[Tensor, dist.Work] | None") -> int:
        if asked is None:
            return 0
        number, work = asked
        self.world.wait(work)
        return int(number)
