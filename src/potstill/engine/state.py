"""What a run needs to go on from where it was, or to be taken up when it is finished."""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from potstill.distiller import Distiller
from potstill.engine.checkpoint import (
    load_checkpoint,
    load_newest,
    random_states,
    restore_random_states,
    save_checkpoint,
    save_weights,
)
from potstill.errors import BadInput, first_line
from potstill.networks.weights import load_weights
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
    """

    def __init__(
        self,
        distiller: Distiller,
        run: RunFolder,
        optimizer: Optimizer | None = None,
        after_step: Callable[..., Any] | None = None,
    ) -> None:
        self.distiller, self.run, self.optimizer = distiller, run, optimizer
        self.after_step: Any = after_step if hasattr(after_step, "load_state_dict") else None

    def save(self, history: History) -> None:
        """Write an epoch's files. The checkpoint comes last: until it is there, a restart repeats the epoch."""
        epoch = history[-1]["epoch"]
        assert self.optimizer is not None
        for name, network in self.distiller.learners.items():
            save_weights(network, self.run.path / names.weights(name))
            if best_epoch(history, name)["epoch"] == epoch:
                save_weights(network, self.run.path / names.best_weights(name))
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
        save_checkpoint(self.run.checkpoint, state)

    def resume(self) -> History:
        """Continue from the run's checkpoint, if it has one, or from the one before if it is damaged.

        Returns:
            The epochs it has finished.

        Raises:
            BadInput: both are damaged, or of other networks.
        """
        assert self.optimizer is not None
        rates = [group["lr"] for group in self.optimizer.param_groups]
        state = load_newest(self.run.path, self.distiller.weights.device)
        if state is None:
            return []
        try:
            for name, network in self.distiller.learners.items():
                unwrapped(network).load_state_dict(state["learners"][name])
            self.distiller.losses.load_state_dict(state["losses"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.after_step is not None:
                self.after_step.load_state_dict(state["after_step"])
            restore_random_states(state["random"])
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise BadInput(f"{self.run.checkpoint} is of other networks: {first_line(error)}") from error
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # loading has put a copy there
        return state["history"]

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
