"""What a run needs to go on from where it was, or to be taken up when it is finished."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from potstill.distiller import Distiller
from potstill.engine.averages import Averages
from potstill.engine.checkpoint import (
    load_checkpoint,
    load_newest,
    random_states,
    restore_random_states,
    save_checkpoint,
    save_weights,
)
from potstill.engine.place import Place
from potstill.errors import BadInput, TrainingFailed, first_line
from potstill.networks.weights import load_weights
from potstill.ranks.team import on_first
from potstill.runs import names
from potstill.runs.folder import RunFolder
from potstill.runs.headline import best_epoch
from potstill.runs.schema import Epoch
from potstill.taps import unwrapped

History = list[Epoch]


class State:
    """Networks, losses, optimiser and random numbers of a run, to and from its folder.

    Args:
        distiller: its networks and losses.
        run: its folder.
        optimizer: None for a finished run, which has no use for it.
        after_step: a function of the caller's that may have a state of its own: ``state_dict`` and ``load_state_dict``.
        averages: of the learners' weights, if they are kept.
        keep: of every so many epochs the weights stay.
    """

    def __init__(
        self,
        distiller: Distiller,
        run: RunFolder,
        optimizer: Optimizer | None = None,
        after_step: Callable[..., Any] | None = None,
        averages: Averages | None = None,
        keep: int | None = None,
    ) -> None:
        self.keep = keep
        self.distiller, self.run, self.optimizer, self.averages = distiller, run, optimizer, averages
        self.inside: dict[str, Any] | None = None  # where in an epoch a stopped run was, see `Place`
        self.team = distiller.team
        self.writes = self.team is None or self.team.world.rank == 0
        self.after_step: Any = after_step if hasattr(after_step, "load_state_dict") else None

    @property
    def kept(self) -> dict[str, nn.Module]:
        """The networks whose weights a run keeps, by the names of their files: learners, and their averages."""
        return {**self.distiller.learners, **({} if self.averages is None else self.averages.networks)}

    def save(self, history: History) -> None:
        """Write an epoch's files. The checkpoint comes last: until it is there, a restart repeats the epoch."""
        if not self.writes:
            return
        epoch = history[-1]["epoch"]
        for name, network in self.kept.items():
            save_weights(network, self.run.path / names.weights(name))
            if best_epoch(history, name)["epoch"] == epoch:
                save_weights(network, self.run.path / names.best_weights(name))
            if self.keep is not None and (epoch + 1) % self.keep == 0:
                save_weights(network, self.run.path / names.weights_of_epoch(name, epoch))
        save_checkpoint(self.run.checkpoint, self.state_dict(history))

    def save_inside(self, history: History, place: Place) -> None:
        """Write the checkpoint alone, at a place inside the epoch that follows ``history``.

        Raises:
            TrainingFailed: a term was not finite, or a weight is not: what is there is better.
        """
        if not self.writes:
            return
        place.meter.check(len(history))
        for name, network in self.distiller.learners.items():
            if not all(bool(value.isfinite().all()) for value in network.parameters()):
                where = f"step {place.step} of epoch {len(history)}"
                raise TrainingFailed(f"weights of {name} are not finite after {where}: its last update broke it")
        save_checkpoint(self.run.checkpoint, self.state_dict(history, place))

    def state_dict(self, history: History, place: Place | None = None) -> dict[str, Any]:
        """All that a checkpoint holds; ``place`` is inside the epoch that follows."""
        assert self.optimizer is not None
        learners = {name: unwrapped(network).state_dict() for name, network in self.distiller.learners.items()}
        state = {
            "learners": learners,
            "losses": self.distiller.losses.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random_states(),
            "history": history,
        }
        if self.after_step is not None:
            state["after_step"] = self.after_step.state_dict()
        if self.averages is not None:
            state["averages"] = self.averages.state_dict()
        if self.distiller.ranges:
            state["ranges"] = self.distiller.ranges.state_dict()
        if place is not None:
            state["inside"] = place.state_dict()
        return state

    def resume(self) -> History:
        """Continue from the run's checkpoint, if it has one, or from the one before if it is damaged.

        Returns:
            The epochs it has finished.

        Raises:
            BadInput: both are damaged, or of other networks.
        """
        state = on_first(self.team, lambda: load_newest(self.run.path, self.distiller.weights.device))
        if state is None:
            return []
        self.load_state_dict(state)
        self.inside = state.get("inside")
        return state["history"]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give networks, losses, optimiser, random numbers and ``after_step`` what a checkpoint holds.

        Raises:
            BadInput: it is of other networks.
        """
        assert self.optimizer is not None
        rates = [group["lr"] for group in self.optimizer.param_groups]
        try:
            for name, network in self.distiller.learners.items():
                unwrapped(network).load_state_dict(state["learners"][name])
            self.distiller.losses.load_state_dict(state["losses"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.after_step is not None:
                self.after_step.load_state_dict(state["after_step"])
            if self.averages is not None:
                self.averages.load_state_dict(state["averages"])
            if self.distiller.ranges:
                self.distiller.ranges.load_state_dict(state["ranges"])
            restore_random_states(state["random"])
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise BadInput(f"{self.run.checkpoint} is of other networks: {first_line(error)}") from error
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # loading has put a copy there

    def restore_finished(self) -> None:
        """Take what a finished run ended with, for whoever goes on with its networks, a next stage for example.

        Raises:
            BadInput: what the losses have learned is gone.
        """
        for name, network in self.distiller.learners.items():
            load_weights(unwrapped(network), self.run.path / names.weights(name))
        if not self.distiller.losses.state_dict() and self.after_step is None:
            return
        if not self.run.checkpoint.is_file():
            raise BadInput(
                f"{self.run.checkpoint} is gone, which holds what the losses of this finished run have learned"
            )
        state = load_checkpoint(self.run.checkpoint, self.distiller.weights.device)
        self.distiller.losses.load_state_dict(state["losses"])
        if self.after_step is not None:
            self.after_step.load_state_dict(state["after_step"])
