"""Stopping a run inside an epoch, and what has to be the same when it has gone on."""

import signal

import torch

from potstill.engine import train as loop
from potstill.engine.checkpoint import load_checkpoint


def stop_in_the_second_epoch(patch, step=5):
    """From now on SIGINT comes after so many steps of a run: with two or three an epoch, inside the second one."""
    original, steps = loop.train_epoch, [0]

    def stopping(*given, between, **seam):
        def count():
            steps[0] += 1
            if steps[0] == step:
                signal.raise_signal(signal.SIGINT)
            between()

        return original(*given, between=count, **seam)

    patch.setattr(loop, "train_epoch", stopping)


def state_of(folder):
    """All that a run's last checkpoint has learned."""
    found = load_checkpoint(folder / "last.ckpt", torch.device("cpu"))
    return {"learners": found["learners"], "losses": found["losses"], "optimizer": found["optimizer"]["state"]}


def same(one, other):
    """Whether two such states are equal to the bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
