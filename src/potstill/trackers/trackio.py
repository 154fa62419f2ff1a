"""Trackio: https://huggingface.co/docs/trackio. It keeps runs on this machine unless told a Space or a server."""

import os
import sys
from contextlib import redirect_stdout
from contextvars import Context
from secrets import token_hex

from potstill.engine.recorders import flat
from potstill.runs.schema import Epoch, Summary
from potstill.trackers.told import PROJECT, Told, outcome


class Trackio:
    """A run of Trackio. ``TRACKIO_PROJECT``, ``TRACKIO_DIR``, ``TRACKIO_SPACE_ID`` and ``TRACKIO_SERVER_URL`` count."""

    def __init__(self, run: Told) -> None:
        import trackio

        # It finds a run by its name alone.
        self.id = run.id or f"{run.name}-{token_hex(3)}"
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        with redirect_stdout(sys.stderr):  # where it says what it does
            # In a context of its own: there it sees no other run, which it would end.
            self.run = Context().run(
                trackio.init, project, name=self.id, config=run.config, resume="allow" if run.id else "never"
            )
        self.where = f"project {project}, run {self.id}"

    def log(self, record: Epoch) -> None:
        """Log every number, at the step of its epoch."""
        self.run.log(dict(flat(record)), step=record["epoch"])

    def finish(self, summary: Summary) -> None:
        """Log the numbers of the summary, at the last step."""
        self.run.log(outcome(summary), step=summary["epochs"] - 1)

    def close(self) -> None:
        """Send what is left."""
        with redirect_stdout(sys.stderr):
            self.run.finish()
