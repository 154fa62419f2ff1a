"""The folder of a run: what was asked, what was measured, what came out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import TracebackType

from potstill.errors import BadInput
from potstill.runs import manifest, trust
from potstill.runs.digests import there
from potstill.runs.lock import Lock
from potstill.runs.names import CHECKPOINT, CONFIG, INSIGHT, MANIFEST, METRICS, PREVIOUS, STATISTICS, SUMMARY, WEIGHTS
from potstill.runs.reading import FORMAT, read_config, read_summary
from potstill.runs.recording import current_defaults
from potstill.runs.same_run import LENGTH, asked, difference, later_arguments
from potstill.runs.schema import Config, Epoch, Extended, Summary
from potstill.runs.segments import continued, segments_of
from potstill.runs.source import gather
from potstill.say import say
from potstill.training import Training
from potstill.whole_file import remove_drafts


class RunFolder:
    """A run's files: ``config.json``, ``metrics.jsonl``, ``last.ckpt``, weights, ``summary.json``, and the manifest.

    Used in a ``with`` statement, inside which no other process writes here: a second one waits for the first to end.

    Args:
        path: the folder, made if need be.
        config: everything that makes this run what it is.

    Raises:
        BadInput: the folder holds something else, or a run of another configuration, or a damaged one.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config, self.copies = gather(config)
        self.recorded = self.config
        self.now = segments_of(config)[-1]
        self.logged = b""
        self.checkpoint = path / CHECKPOINT
        self.previous = path / PREVIOUS
        self.insight = path / INSIGHT
        self.extends: int | None = None  # of a run that was asked for fewer epochs: how many
        must_be_free(path)
        if path.is_symlink() and config["arguments"].get("stage") == path.name:
            raise BadInput(f"{path} is a link that leads out of the run folder; nothing is written through it")
        self._holds_this_run()

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock = Lock(self.path)
        self.lock.take()
        try:
            remove_drafts(self.path)
            if self._holds_this_run():  # perhaps written by the process that held it until now
                self._take_up()
            else:
                manifest.begin(self.path)
                self.record(self.config)
                self.write(self.copies)
            trust.sign(self.path, self.config["networks"])
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.lock.release()

    def write(self, contents: Mapping[str, bytes | None], keep: Mapping[str, str] | None = None) -> None:
        """Write files of the run, in this order, and list them in its manifest; None removes one.

        Args:
            contents: what each file shall hold, by its name in the folder.
            keep: for some, the name under which the old one stays.

        Raises:
            OSError: the disk is full, or the like; what was there is still there.
        """
        manifest.write(self.path, contents, keep)

    def summary(self) -> Summary | None:
        """The summary of the finished run; None while it is unfinished.

        Raises:
            BadInput: one of the files of a finished run is not what it was when it was finished.
        """
        found = read_summary(self.path)
        if found is not None:
            manifest.verify_all(self.path)
        return found

    def start_logs(self, history: Sequence[Epoch]) -> None:
        """Begin or continue ``metrics.jsonl`` after the epochs in ``history``; what was logged since is gone."""
        before = segments_of(self.recorded)
        segments, changed = continued(before, self.now, len(history))
        if changed:
            say(f"{self.path} goes on from epoch {len(history)} in other surroundings: {'; '.join(changed)}")
        self.logged = "".join(json.dumps(record) + "\n" for record in history).encode()
        self.write({METRICS: self.logged})
        if segments != before:
            self.record({**self.recorded, "segments": segments})

    def log(self, record: Epoch) -> None:
        """Add one epoch to ``metrics.jsonl``."""
        self.logged += (json.dumps(record) + "\n").encode()
        self.write({METRICS: self.logged})

    def finish(self, summary: Summary) -> None:
        """Write the summary, which marks the run as finished."""
        self.write({SUMMARY: _json(summary)})

    def record(self, config: Config) -> None:
        """Write what makes this run what it is."""
        self.write({CONFIG: _json(config)})
        self.recorded = config

    def _take_up(self) -> None:
        """Go on in the folder of this very run: with its record, and the user's code as it is now."""
        if manifest.read(self.path) is None:
            manifest.begin(self.path)
        manifest.settle(self.path)
        self.recorded = read_config(self.path)
        self._say_what_came_later()
        own = {key: value for key, value in self.config.items() if key in ("networks", "losses")}
        config: Config = {**self.recorded, **own, "format": FORMAT}  # type: ignore[typeddict-item]
        known = {name: manifest.content_of(self.path, name) for name in self.copies}
        changed = {name: content for name, content in self.copies.items() if content != known[name]}
        if edited := [name for name in changed if known[name] is not None]:
            say(f"{', '.join(edited)} of {self.path} was edited since: the run goes on with it as it is now")
        if changed:
            self.write(changed)
        if config != self.recorded:
            self.record(config)
        if not (self.path / SUMMARY).is_file():
            self._say_what_is_damaged()

    def _say_what_is_damaged(self) -> None:
        """Name damaged weights of a run that goes on, which does not need them."""
        for file in sorted(self.path.glob(f"*{WEIGHTS}")):
            try:
                manifest.verify(file)
            except BadInput as error:
                say(f"{error}; the run goes on, and writes it again when it has better ones")

    def extend(self, changed: str | None) -> None:
        """Become the longer run that ``config`` asks for; ``changed`` is what makes it another than one from the start.

        A summary that is there is the shorter one's: it goes first, so that no killed process leaves it to the longer.
        """
        self.write({SUMMARY: None})
        before = self.recorded.get("extended") or []
        extended: list[Extended] = [*before, {"epochs": self.extends or 0, "changed": changed}]
        self.record({**self.recorded, "arguments": self.config["arguments"], "extended": extended})

    def _holds_this_run(self) -> bool:
        """Whether this run was started here before, or a shorter one that may go on; refuses another one."""
        if not there(self.path / CONFIG):
            return False
        before, now = asked(read_config(self.path)), asked(self.config)
        lengths = before.arguments.get("epochs"), now.arguments.get("epochs")
        longer = all(isinstance(length, int) for length in lengths) and lengths[0] < lengths[1]  # type: ignore[operator]
        self.extends = lengths[0] if longer else None
        if words := difference(before, now, LENGTH if longer else frozenset(), self._defaults()):
            raise BadInput(f"{self.path} holds another run: {words}; choose another --out")
        return True

    def _defaults(self) -> dict[str, object]:
        """What the run's arguments were by default, in a run of before there were such arguments."""
        known = {field.name: field.default for field in fields(Training) if field.default is not MISSING}
        known |= current_defaults()
        # What is null now is what it was when it was missing.
        return {name: value for name, value in known.items() if self.config["arguments"].get(name) is not None}

    def _say_what_came_later(self) -> None:
        if later := later_arguments(asked(self.recorded), asked(self.config), self._defaults()):
            told = ", ".join(f"{name} {value}" for name, value in later.items())
            say(f"{self.path} was made before there was {told}: taken for the default, which it was then")


def must_be_free(path: Path) -> None:
    """Refuse a path that can be no run's folder.

    Raises:
        BadInput: it is a file, or a folder of something else.
    """
    if path.exists() and not path.is_dir():
        raise BadInput(f"--out {path} is a file, not a folder")
    if path.is_dir() and not there(path / CONFIG) and any(_is_foreign(file) for file in path.iterdir()):
        raise BadInput(f"--out {path} is not empty and holds no run; choose another folder")


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _is_foreign(file: Path) -> bool:
    """Whether a file in a folder without a run is someone else's: not hidden, and not an earlier stage of this run."""
    if file.name.startswith("."):
        return False
    if file.name == MANIFEST:  # of a run that was killed before it had anything else
        try:
            return manifest.read(file.parent) is None
        except BadInput:  # of something else that has one
            return True
    if (file / STATISTICS).is_file():
        return False
    return not (file / CONFIG).is_file() or read_config(file)["arguments"].get("stage") != file.name
