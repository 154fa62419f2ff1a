"""Weights & Biases: https://docs.wandb.ai. ``WANDB_MODE=offline`` needs no network."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from potstill.engine.recorders import flat
from potstill.runs.schema import Epoch, Summary
from potstill.trackers.told import PROJECT, Told, outcome

SECONDS = 20
"""How long a run waits for an answer at its start."""
LAST_SECONDS = 60
"""How long it waits at its end until everything is sent."""


class Wandb:
    """A run of Weights & Biases, whose files lie in the folder ``wandb`` of the run's.

    Its own environment variables count: ``WANDB_PROJECT``, ``WANDB_ENTITY``, ``WANDB_MODE``, ``WANDB_API_KEY``, ...
    """

    def __init__(self, run: Told) -> None:
        import wandb

        self.id, self.ended = run.id or token_hex(4), False
        settings = wandb.Settings(
            silent=True,
            console="off",  # which would stand between the run and its own live line
            init_timeout=SECONDS,
            finish_timeout=LAST_SECONDS,
            finish_timeout_raises=True,
        )
        with _nobody_to_ask():
            self.run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run.name,
                id=self.id,
                resume="allow",
                dir=str(run.folder),
                config=run.config,
                allow_val_change=True,
                reinit="create_new",  # runs side by side, or the user's own, stay apart
                settings=settings,
            )
        self.where = f"offline, in {run.folder / 'wandb'}" if self.run.offline else str(self.run.url)

    def log(self, record: Epoch) -> None:
        """Log every number, at the step of its epoch."""
        self.run.log(dict(flat(record)), step=record["epoch"])

    def finish(self, summary: Summary) -> None:
        """Put the run's summary into theirs."""
        self.run.summary.update(outcome(summary))
        self.ended = True

    def close(self) -> None:
        """Send what is left; a run without a summary counts as failed, until it goes on."""
        self.run.finish(exit_code=0 if self.ended else 1)


@contextmanager
def _nobody_to_ask() -> Iterator[None]:
    """Let it not ask for a key inside: then it says that there is none."""
    asked = sys.stdin
    with Path(os.devnull).open(encoding="utf-8") as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = asked
