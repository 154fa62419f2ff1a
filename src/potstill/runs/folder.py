"""The folder of a run: what was asked, what was measured, what came out."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from potstill.errors import BadInput
from potstill.runs.lock import Lock
from potstill.runs.names import CHECKPOINT, CONFIG, INSIGHT, METRICS, SUMMARY
from potstill.runs.reading import read_config, read_summary, write_json
from potstill.runs.same_run import LENGTH, asked, difference
from potstill.runs.schema import Config, Epoch, Summary
from potstill.whole_file import remove_drafts, write_whole


class RunFolder:
    """A run's files: ``config.json``, ``metrics.jsonl``, ``last.ckpt``, weights, ``summary.json``.

    Used in a ``with`` statement, inside which no other process writes here: a second one waits for the first to end.

    Args:
        path: the folder, made if need be.
        config: everything that makes this run what it is.

    Raises:
        BadInput: the folder holds something else, or a run of another configuration.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config
        self.checkpoint = path / CHECKPOINT
        self.insight = path / INSIGHT
        self.extends: int | None = None  # of a run that was asked for fewer epochs: how many
        if path.exists() and not path.is_dir():
            raise BadInput(f"--out {path} is a file, not a folder")
        if not self._holds_this_run() and path.is_dir() and any(_is_foreign(file) for file in path.iterdir()):
            raise BadInput(f"--out {path} is not empty and holds no run; choose another folder")

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock = Lock(self.path)
        self.lock.take()
        try:
            if not self._holds_this_run():  # perhaps written by the process that held it until now
                write_json(self.path / CONFIG, self.config)
            remove_drafts(self.path)
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.lock.release()

    def summary(self) -> Summary | None:
        """The summary of the finished run; None while it is unfinished."""
        return read_summary(self.path)

    def start_logs(self, history: Sequence[Epoch]) -> None:
        """Begin or continue ``metrics.jsonl`` after the epochs in ``history``; what was logged since is gone."""
        write_whole(self.path / METRICS, "".join(json.dumps(record) + "\n" for record in history).encode())

    def log(self, record: Epoch) -> None:
        """Add one epoch to ``metrics.jsonl``."""
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, summary: Summary) -> None:
        """Write the summary, which marks the run as finished."""
        write_json(self.path / SUMMARY, summary)

    def extend(self, changed: str | None) -> None:
        """Become the longer run that ``config`` asks for; ``changed`` is what makes it another than one from the start.

        A summary that is there is the shorter one's: it goes first, so that no killed process leaves it to the longer.
        """
        (self.path / SUMMARY).unlink(missing_ok=True)
        before = read_config(self.path).get("extended") or []
        extended = [*before, {"epochs": self.extends, "changed": changed}]
        write_json(self.path / CONFIG, {**self.config, "extended": extended})

    def _holds_this_run(self) -> bool:
        """Whether this run was started here before, or a shorter one that may go on; refuses another one."""
        if not (self.path / CONFIG).is_file():
            return False
        there, here = asked(read_config(self.path)), asked(self.config)
        before, now = there.arguments.get("epochs"), here.arguments.get("epochs")
        longer = isinstance(before, int) and isinstance(now, int) and before < now
        self.extends = before if longer else None
        if words := difference(there, here, LENGTH if longer else frozenset()):
            raise BadInput(f"{self.path} holds another run: {words}; choose another --out")
        return True


def _is_foreign(file: Path) -> bool:
    """Whether a file in a folder without a run is someone else's: not hidden, and not an earlier stage of this run."""
    if file.name.startswith("."):
        return False
    return not (file / CONFIG).is_file() or read_config(file)["arguments"].get("stage") != file.name
