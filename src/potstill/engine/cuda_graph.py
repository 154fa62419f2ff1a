"""A whole training step as a CUDA graph: forward, backward and optimiser's step, launched as one.

A small network's step is hundreds of operations, each of which takes longer to launch than to run.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from potstill.batch import Batch
from potstill.distiller import Distiller
from potstill.engine.snapshot import Snapshot
from potstill.engine.waits import Waits
from potstill.errors import BadInput, first_line
from potstill.guard import is_out_of_memory
from potstill.say import say
from potstill.training import Training

Values = dict[str, Tensor]
ORDINARY = 3
"""Steps of a kind that are taken as usual before one is captured: libraries choose their algorithms in these."""
MOST = 8
"""Graphs: batches of ever new shapes are not worth theirs."""
CLOSE = 0.01
"""How far what a replay changes may be from what the step itself changes, of that: some kernels add in any order."""


class Capturer(Protocol):
    """What records the work of a device."""

    def ordinary(self, work: Callable[[], Values]) -> Values:
        """Do the work as usual, where it will be captured later."""

    def capture(self, work: Callable[[], Values]) -> Callable[[], Values]:
        """Record the work, and return what does it again, on the same tensors, and gives the same tensors."""


class CudaCapturer:
    """Records CUDA graphs, which share their memory: one at a time runs."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()

    def ordinary(self, work: Callable[[], Values]) -> Values:
        """Do the work as usual, on the stream that will be captured."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            values = work()
        torch.cuda.current_stream().wait_stream(self.stream)
        return values

    def capture(self, work: Callable[[], Values]) -> Callable[[], Values]:
        """Record the work; nothing of it happens yet."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            values = work()

        def replay() -> Values:
            graph.replay()
            return values

        return replay


class StepGraphs:
    """Takes training steps, of which those of a kind that has come before are replayed.

    A kind: the terms that are active, whose turn it is, and shapes, types and layouts of the batch's tensors. The last,
    smaller batch is a kind of its own. All are captured anew when networks, what learns of them, or the optimiser's
    tensors are others. A graph is used only when its first replay has changed what the step itself changes.

    Args:
        capturer: what records.
        must: whether it is an error if steps cannot be replayed; else it is said, once, and they are taken as usual.
    """

    def __init__(self, capturer: Capturer, must: bool) -> None:
        self.capturer, self.must = capturer, must
        self.refused = False
        self.compiled = False
        self.places: Hashable = None
        self._forget()

    def _forget(self) -> None:
        self.counts: dict[Hashable, int] = {}
        self.graphs: dict[Hashable, tuple[Batch, Callable[[], Values]]] = {}

    def begin(self, distiller: Distiller, optimizer: Optimizer) -> None:
        """Look whether everything is where it was; to be called when an epoch begins, and when anything may have moved.

        The numbers of an optimiser's steps must be the device's: there AdamW is told so.
        """
        self.distiller, self.optimizer = distiller, optimizer
        for group in optimizer.param_groups:
            if "capturable" in group and group["lr"].is_cuda:
                group["capturable"] = True
        self.compiled = any(module._compiled_call_impl is not None for module in distiller.modules())
        state = [*distiller.parameters(), *Snapshot.tensors(distiller, optimizer)]
        places = (id(distiller), id(optimizer), tuple(value.data_ptr() for value in state))
        if places != self.places:
            self._forget()
            self.places = places

    def take(self, step: Callable[[Batch], Values], batch: Batch) -> Values:
        """Take a step; the terms' values, which the next one may overwrite.

        Raises:
            BadInput: it cannot be replayed, but must.
        """
        kind = (tuple(map(tuple, self.distiller.turns)), *(_kind(name, value) for name, value in batch.items()))
        if kind in self.graphs:
            given, replay = self.graphs[kind]
            _fill(given, batch)
            return replay()
        self.counts[kind] = count = self.counts.get(kind, 0) + 1
        if self.refused or count < ORDINARY or len(self.graphs) == MOST:
            return step(batch) if self.refused else self.capturer.ordinary(lambda: step(batch))
        if count == ORDINARY and not self.compiled:  # under a dispatch mode, nothing compiled would run
            with Waits() as waits:
                values = self.capturer.ordinary(lambda: step(batch))
            if waits.found:
                self._refuse(f"the host waits for the device in {', '.join(waits.found)}")
            return values
        return self._capture(kind, step, batch)

    def _capture(self, kind: Hashable, step: Callable[[Batch], Values], batch: Batch) -> Values:
        """Take the step as usual, then once more as a replay of what is captured, and compare."""
        self.begin(self.distiller, self.optimizer)  # the first steps have made what the optimiser keeps
        before = Snapshot(self.distiller, self.optimizer)
        values = {name: value.clone() for name, value in self.capturer.ordinary(lambda: step(batch)).items()}
        after = Snapshot(self.distiller, self.optimizer)
        given = {name: value.clone() for name, value in batch.items()}
        try:
            replay = self.capturer.capture(lambda: step(given))
            before.restore()
            found = replay()
        except Exception as error:  # of whatever it is that a graph cannot hold
            if is_out_of_memory(error):
                raise
            self.optimizer.zero_grad()
            after.restore()
            self._refuse(first_line(error))
            return values
        distance, change = after.distance(), after.distance(before)
        if distance > CLOSE * change:
            after.restore()
            self._refuse(f"its replay is off by {distance:.1e} of a change of {change:.1e}")
            return values
        self.graphs[kind] = given, replay
        return found

    def _refuse(self, reason: str) -> None:
        self.refused = True
        self._forget()
        if self.must:
            raise BadInput(f"--graph on: this step cannot be a CUDA graph: {reason}; auto takes such steps as usual")
        say(f"steps are no CUDA graph: {reason}")


def step_graphs(training: Training, device: torch.device, waiting: str | None = None) -> StepGraphs | None:
    """What takes the steps of a run as graphs; None if they are taken as usual.

    Raises:
        BadInput: graphs are asked for where there is no GPU.
    """
    if training.graph == "on" and device.type != "cuda":
        raise BadInput(f"--graph on: a CUDA graph needs a GPU, this run is on {device}; auto takes one where it can")
    if training.graph == "off" or device.type != "cuda":
        return None
    if waiting is not None:
        if training.graph == "on":
            raise BadInput(f"--graph on: a CUDA graph and {waiting} do not go together; leave out one of them")
        say(f"steps are no CUDA graph: they wait for {waiting}")
        return None
    return StepGraphs(CudaCapturer(device), must=training.graph == "on")


def _kind(name: str, value: Tensor) -> tuple[Any, ...]:
    return name, value.dtype, tuple(value.shape), value.stride()


def _fill(given: Batch, batch: Mapping[str, Tensor]) -> None:
    for name, value in given.items():
        value.copy_(batch[name])
