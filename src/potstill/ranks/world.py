"""The processes that train one run together: how they meet, and how they talk."""

import atexit
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from potstill.errors import BadInput, Lost
from potstill.ranks.launch import launched
from potstill.ranks.pulse import Pulse
from potstill.say import mute
from potstill.signals import ENDINGS, at_once, exception_of, number_of

Result = TypeVar("Result")

MEETING = timedelta(minutes=10)
"""How long the first process to come waits for the last one."""
TALKING = timedelta(days=7)
"""How long one may keep the others waiting, while it measures for example; whether it still lives, `Pulse` knows."""


class World:
    """This process among those that train one run. What is said between them is said by all, in the same order.

    Args:
        pulse: by which they know of each other's end; None where somebody else has made them meet.
    """

    def __init__(self, pulse: Pulse | None) -> None:
        self.rank, self.size, self.pulse = dist.get_rank(), dist.get_world_size(), pulse
        with self._talk():
            self._control: Any = dist.new_group(backend="gloo", timeout=TALKING)  # between CPUs, beside what trains

    def sum(self, tensor: Tensor) -> "dist.Work":
        """Begin to sum a tensor over all ranks, in place; `wait` ends it."""
        with self._talk():
            return _begun(dist.all_reduce(tensor, async_op=True))

    def wait(self, work: "dist.Work") -> None:
        """Wait for the end of what was begun."""
        with self._talk():
            work.wait()

    def largest(self, tensor: Tensor) -> "dist.Work":
        """Begin to find the largest of every rank's (CPU) tensor, in place."""
        with self._talk():
            return _begun(dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self._control, async_op=True))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Every rank's tensor, which are of one shape."""
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._talk():
            dist.all_gather(found, tensor)
        return found

    def each(self, value: Any) -> list[Any]:
        """Every rank's value of plain Python."""
        found: list[Any] = [None] * self.size
        with self._talk():
            dist.all_gather_object(found, value, group=self._control)
        return found

    def on_first(self, function: Callable[[], Result], device: torch.device | None = None) -> Result:
        """What ``function`` returns on rank 0, which alone calls it while the others wait: plain values and tensors.

        A signal ends it, on all ranks. An error ends rank 0, and so the others.
        """
        said: dict[str, Any] = {}
        if self.rank == 0:
            try:
                with at_once():
                    result = function()
                said = {"result": result}
            except ENDINGS as error:
                self._broadcast(_packed({"ended": number_of(error)}))
                raise
            self._broadcast(_packed(said))
            return result
        said = torch.load(io.BytesIO(self._broadcast(b"")), map_location=device, weights_only=True)
        if "ended" in said:
            raise exception_of(said["ended"])
        return said["result"]  # type: ignore[no-any-return]

    def _broadcast(self, content: bytes) -> bytes:
        """Rank 0's bytes on all ranks."""
        size = torch.tensor(len(content))
        with self._talk():
            dist.broadcast(size, 0, group=self._control)
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.rank == 0:
                data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            dist.broadcast(data, 0, group=self._control)
        return data.numpy().tobytes()

    def align(self, module: torch.nn.Module) -> None:
        """Give every rank the parameters and buffers of rank 0."""
        with self._talk(), torch.no_grad():
            for value in (*module.parameters(), *module.buffers()):
                whole = value.detach().contiguous()
                dist.broadcast(whole, 0)
                value.copy_(whole)

    @contextmanager
    def _talk(self) -> Iterator[None]:
        """Say in one line that another process has gone, whatever torch says of the connection to it."""
        try:
            yield
        except RuntimeError as error:
            raise Lost(f"another of the {self.size} processes of this run has ended") from error


_worlds: list[World] = []


def join() -> World | None:
    """Meet the other processes of this run, once; None if there are none.

    Raises:
        BadInput: they do not come, or the environment does not say where.
    """
    if _worlds:
        return _worlds[0]
    if dist.is_available() and dist.is_initialized():
        if dist.get_world_size() > 1:
            _worlds.append(World(None))
        return _worlds[0] if _worlds else None
    launch = launched()
    if launch is None:
        return None
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=MEETING)))
        pulse = Pulse(rank, size)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TALKING)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"the {launch.size} processes of this run have not met: {reason}") from error
    atexit.register(_leave)
    mute(rank > 0)
    _worlds.append(World(pulse))
    return _worlds[0]


def _leave() -> None:
    """End the group's threads before what they use is taken down."""
    if dist.is_initialized():  # nobody else has ended it
        dist.destroy_process_group()


def _begun(work: "dist.Work | None") -> "dist.Work":
    assert work is not None, "this process is one of the group"
    return work


def _packed(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
