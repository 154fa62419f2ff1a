"""Cases: which run is hurt, how, and what became of it."""

import contextlib
import json
import os
import random
import resource
import runpy
import shutil
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from crashes.damage import DAMAGES, damage, files_of
from crashes.scenarios import Scenario, make_inputs
from crashes.shim import AtStep, Shim

KINDS = {
    "signal": 25,
    "operation": 30,
    "full disk": 10,
    "size limit": 5,
    "unwritable": 5,
    "vanished": 5,
    "damaged finished": 10,
    "damaged unfinished": 10,
    "report": 3,
    "table": 1,
}
"""The ways to hurt a run, and how often each is drawn."""
GOOD = ("equal", "refused", "said")
"""What may become of it."""
PATIENCE = 120.0  # seconds for one process
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Case:
    """One way to hurt one run."""

    number: int
    seed: int
    kind: str
    scenario: str
    operation: int = 0

    @property
    def random(self) -> random.Random:
        """The random numbers of this case."""
        return random.Random(f"{self.seed} {self.number}")


@dataclass
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def last_line(self) -> str:
        """What it said last."""
        return (self.err.strip().splitlines() or [""])[-1]


class Failure(Exception):
    """A case that did not end as it must."""

    outcome = "FAILED"


class Unnoticed(Failure):
    """Damage that nobody has noticed, and that has changed something."""

    outcome = "unnoticed"


def plan(lab: "Lab", count: int, seed: int, only: str | None) -> list[Case]:
    """The first ``count`` cases of a seed; every file operation comes before any comes twice."""
    draw = random.Random(seed)
    pairs = [(name, at) for name, ops in lab.operations.items() for at in range(1, ops + 1)]
    draw.shuffle(pairs)
    cases = []
    for number in range(count):
        kind = only or draw.choices([*KINDS], [*KINDS.values()])[0]
        name, at = pairs[number % len(pairs)]
        if kind == "vanished" and draw.random() < 0.3:
            name = "files"
        cases.append(Case(number, seed, kind, name, at))
    return cases


class Lab:
    """Where cases are examined: the references, and forks.

    Args:
        folder: an empty one.
        scenarios: what is run.
    """

    def __init__(self, folder: Path, scenarios: list[Scenario]) -> None:
        self.folder = folder
        self.references: dict[str, Path] = {}
        self.talk, self.kills = False, 0
        self.scenarios = {scenario.name: scenario for scenario in scenarios}
        self.operations: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def prepare(self) -> None:
        """Import everything, and run every scenario once, unhurt, with its file operations counted."""
        warm()
        self.inputs = make_inputs(self.folder, lambda words: self.must(self.start(words)))
        for scenario in self.scenarios.values():
            out = self.folder / "reference" / scenario.name.replace(" ", "-").replace(",", "")
            counter = self.folder / "count"
            ended = self.start(scenario.words(self.inputs, out), Shim(out), count=counter)
            self.must(ended)
            self.operations[scenario.name] = int(counter.read_text())
            self.seconds[scenario.name] = ended.seconds
            self.references[scenario.name] = out

    def must(self, ended: Ended) -> Ended:
        """What was run must have gone well."""
        if ended.code != 0:
            raise SystemExit(f"a run that nothing was done to ended with {ended.code}: {ended.err}")
        return ended

    def examine(self, case: Case, talk: bool = False) -> dict[str, Any]:
        """Hurt a run, start it again, compare."""
        place = self.folder / f"case-{case.number}"
        place.mkdir()
        self.talk, self.kills = talk, 0
        try:
            outcome, told = HURTS[case.kind](self, case, place)
        except Failure as failure:
            outcome, told = failure.outcome, str(failure)
        shutil.rmtree(place, ignore_errors=True)
        if outcome not in GOOD or talk:
            print(f"case {case.number}: {case.kind} of {case.scenario}: {outcome}: {told}", file=sys.stderr, flush=True)
        return {**asdict(case), "outcome": outcome, "told": told, "kills": self.kills}

    def start(self, words, shim=None, *, count=None, hurt=None, limit=None, code=None) -> Ended:
        """Run a command in a fork; ``hurt(pid)`` may do something to it; ``code`` is a file to run before."""
        streams = [self.folder / f"{os.getpid()}.{name}" for name in ("out", "err")]
        began = time.monotonic()
        if (pid := os.fork()) == 0:
            _child(words, shim, count, limit, streams, code)
        if hurt is not None:
            hurt(pid)
        status = _wait(pid, began)
        out, err = (stream.read_text(errors="replace") for stream in streams)
        ended = Ended(os.waitstatus_to_exitcode(status), out, err, time.monotonic() - began)
        if self.talk:
            print(f"$ potstill {' '.join(words)}\n{err}-> {ended.code} after {ended.seconds:.2f} s", file=sys.stderr)
        return ended

    def go_on(self, case: Case, out: Path, names: tuple[str, ...] = ()) -> tuple[str, str]:
        """Start the same command again: equal, or refused in a line that has one of ``names``.

        Or it says that the damaged file, the first of them, is damaged, and all but that is equal: weights of a past
        epoch, which nobody has a second time.
        """
        ended = self.start(self.scenarios[case.scenario].words(self.inputs, out))
        check(ended, (0, 2, 3))
        if ended.code:
            if not any(name in ended.last_line for name in names):
                raise Failure(f"refused, and names no file: {ended.last_line}")
            return "refused", ended.last_line
        differs = difference(self.references[case.scenario], out) or _printed(self.references[case.scenario], ended.out)
        if differs and names and differs in names[0] and names[0] in ended.err:
            return "said", next(line for line in ended.err.splitlines() if names[0] in line)
        if differs:
            raise (Unnoticed if names else Failure)(f"goes on to another result: {differs}")
        return "equal", ""

    def reference(self, name: str, words: list[str], code: Path | None = None) -> Path:
        """The folder in which a command has run that nothing was done to: one that is needed now and then."""
        out = self.folder / "reference" / name
        if not out.exists():
            out.mkdir(parents=True)
            self.must(self.start([*words, "--out", str(out / name)], code=code))
        return out / name

    # Ways to hurt.

    def signal(self, case: Case, place: Path) -> tuple[str, str]:
        """Signals at random moments, or in the middle of a random step, up to three times."""
        draw, out = case.random, place / "run"
        for _ in range(draw.randint(1, 3)):
            number, after = draw.choice(SIGNALS), draw.uniform(0, 1.2 * self.seconds[case.scenario])
            at_step = AtStep(draw.randint(1, 6), number) if draw.random() < 0.6 else None

            def hurt(pid: int, number: int = number, after: float = after) -> None:
                time.sleep(after)
                _send(pid, number)

            words = self.scenarios[case.scenario].words(self.inputs, out)
            ended = self.start(words, at_step, hurt=None if at_step else hurt)
            expected = (0, -number) if number == signal.SIGKILL else (0, -number, 128 + number)
            check(ended, expected)
            self.kills += ended.code != 0
        return self.go_on(case, out)

    def operation(self, case: Case, place: Path) -> tuple[str, str]:
        """SIGKILL at a file operation."""
        out = place / "run"
        ended = self.start(self.scenarios[case.scenario].words(self.inputs, out), Shim(out, case.operation))
        check(ended, (0, -signal.SIGKILL))
        self.kills += ended.code != 0
        return self.go_on(case, out)

    def full_disk(self, case: Case, place: Path) -> tuple[str, str]:
        """No space left from a file operation on; then there is space again."""
        return self._error(case, place, "ENOSPC")

    def unwritable(self, case: Case, place: Path) -> tuple[str, str]:
        """From a file operation on the file system is read-only, has lost its rights, or is broken."""
        return self._error(case, place, case.random.choice(["EROFS", "EACCES", "EIO", "ESTALE", "EDQUOT"]))

    def _error(self, case: Case, place: Path, what: str) -> tuple[str, str]:
        out = place / "run"
        ended = self.start(self.scenarios[case.scenario].words(self.inputs, out), Shim(out, case.operation, what))
        check(ended, (0, 2, 3))
        if ended.code and not ended.last_line.startswith("potstill: "):
            raise Failure(f"{what} ends with {ended.last_line!r}")
        self.kills += ended.code != 0
        return self.go_on(case, out)

    def size_limit(self, case: Case, place: Path) -> tuple[str, str]:
        """No file may be larger than so many bytes."""
        out = place / "run"
        ended = self.start(self.scenarios[case.scenario].words(self.inputs, out), limit=case.random.randint(0, 400_000))
        check(ended, (0, 2, 3))
        self.kills += ended.code != 0
        return self.go_on(case, out)

    def vanished(self, case: Case, place: Path) -> tuple[str, str]:
        """The run's folder is removed while it trains; of images in files, sometimes their folder."""
        draw, out = case.random, place / "run"
        inputs, gone = self.inputs, out
        if case.scenario.startswith("files") and draw.random() < 0.5:
            gone = place / "pictures"
            shutil.copytree(inputs["pictures"], gone)
            inputs = {**inputs, "pictures": gone}
        after = draw.uniform(0, self.seconds[case.scenario])

        def hurt(pid: int) -> None:
            time.sleep(after)
            shutil.rmtree(gone, ignore_errors=True)

        ended = self.start(self.scenarios[case.scenario].words(inputs, out), hurt=hurt)
        check(ended, (0, 2, 3))
        self.kills += ended.code != 0
        if gone == out:
            shutil.rmtree(out, ignore_errors=True)  # what was written after
            return self.go_on(case, out)
        if ended.code and str(gone) not in ended.err:
            raise Failure(f"the data is gone, and nobody says so: {ended.last_line}")
        return ("refused", ended.last_line) if ended.code else ("equal", "it had read everything")

    def damaged_finished(self, case: Case, place: Path) -> tuple[str, str]:
        """A file of a finished run is damaged; who reads it must notice, or not be misled."""
        out = place / "run"
        shutil.copytree(self.references[case.scenario], out)
        return self._damaged(case, out)

    def damaged_unfinished(self, case: Case, place: Path) -> tuple[str, str]:
        """A file of a run is damaged that was killed at a file operation."""
        out = place / "run"
        self.start(self.scenarios[case.scenario].words(self.inputs, out), Shim(out, case.operation))
        if not files_of(out):
            return self.go_on(case, out)
        return self._damaged(case, out)

    def report(self, case: Case, place: Path) -> tuple[str, str]:
        """A report is killed, or has no space, while it is written: it is whole, or not there; then it is the same."""
        words = ["report", str(self.references[case.scenario])]
        whole = self.reference(f"report-{os.getpid()}-{case.scenario}.html", words).read_bytes()
        file = place / "report.html"
        shim = Shim(place, case.random.randint(1, 8), case.random.choice(["kill", "ENOSPC", "EROFS"]))
        ended = self.start([*words, "--out", str(file)], shim)
        check(ended, (0, 2, 3, -signal.SIGKILL))
        self.kills += ended.code != 0
        if file.exists() and file.read_bytes() != whole:
            raise Failure("a part of a report is left")
        self.must(self.start([*words, "--out", str(file)]))
        if file.read_bytes() != whole or len(list(place.iterdir())) > 1 + (shim.what == "kill"):
            raise Failure(f"another report, or more than that: {[one.name for one in place.iterdir()]}")
        return "equal", ""

    def table(self, case: Case, place: Path) -> tuple[str, str]:
        """A table, whose runs are processes of their own, gets a signal: they end with it, and it goes on."""
        draw, out = case.random, place / "table"
        words = ["table", "crashing", "--seeds", "1", "--jobs", "2"]
        reference = self.reference(f"table-{os.getpid()}", words, self.inputs["table"])
        number, after = draw.choice(SIGNALS), draw.uniform(0.5, 8)

        def hurt(pid: int) -> None:
            time.sleep(after)
            _send(pid, number)

        ended = self.start([*words, "--out", str(out)], hurt=hurt, code=self.inputs["table"])
        check(ended, (0, -number) if number == signal.SIGKILL else (0, -number, 128 + number))
        self.kills += ended.code != 0
        _await_none_with(str(out))
        self.must(self.start([*words, "--out", str(out)], code=self.inputs["table"]))
        differs = difference(reference, out)
        if differs or (out / "table.csv").read_bytes() != (reference / "table.csv").read_bytes():
            raise Failure(f"another table: {differs or 'table.csv'}")
        return "equal", ""

    def _damaged(self, case: Case, out: Path) -> tuple[str, str]:
        draw = case.random
        file = draw.choice(files_of(out))
        how = draw.choice(DAMAGES)
        damage(file, how, draw)
        told = f"{file.relative_to(out)} {how}"
        names = (str(file), str(file.parent))
        finished = (out / "summary.json").exists()
        networks = [f"{out}:{path.stem}" for path in sorted(out.glob("*.safetensors")) if "best" not in path.name]
        readers = [["report", str(out), "--out", str(out.parent / "report.html"), "--json"]] if finished else []
        if finished and networks and case.scenario.split(",")[0] not in ("files", "own recipe"):
            readers.append(["evaluate", "--network", networks[0], "--data", "digits", "--json"])
        outcome = "equal"
        for words in readers:
            ended = self.start(words)
            check(ended, (0, 2, 3))
            if ended.code and not any(name in ended.last_line for name in names):
                raise Failure(f"{told}: {words[0]} refuses, and names no file: {ended.last_line}")
            whole = self._reader_of_reference(case, words, out)
            if file.name in ended.err or file.name in ended.out:  # a report goes on without a part, and says so
                outcome = "refused"
            elif not ended.code and ended.out.replace(str(out), "RUN") != whole:
                raise Unnoticed(f"{told}: {words[0]} gives another result and says nothing")
            outcome = "refused" if ended.code or outcome == "refused" else "equal"
        try:
            again, line = self.go_on(case, out, names)
        except Failure as failure:
            raise type(failure)(f"{told}: {failure}") from failure
        return (again if outcome == "equal" else outcome), f"{told}: {line}"

    def _reader_of_reference(self, case: Case, words: list[str], out: Path) -> str:
        reference = self.references[case.scenario]
        ended = self.must(self.start([word.replace(str(out), str(reference)) for word in words]))
        return ended.out.replace(str(reference), "RUN")


HURTS = {kind: getattr(Lab, kind.replace(" ", "_")) for kind in KINDS}


def warm() -> None:
    """Import what a run imports, and start no thread."""
    for name in ("cli", "data.files.hub", "engine", "losses", "recipes", "commands.evaluate", "commands.report"):
        module = import_module(f"potstill.{name}")
        for public in getattr(module, "__all__", ()):
            getattr(module, public)
    for name in ("tyro", "torchvision", "torch.utils.tensorboard", "rich.console", "rich.table"):
        import_module(name)


def check(ended: Ended, codes: tuple[int, ...]) -> None:
    """A process must end with one of the codes, and never with a traceback."""
    if ended.code not in codes:
        raise Failure(f"exit code {ended.code}: {ended.last_line}")
    if "Traceback (most recent call last)" in ended.err:
        raise Failure(f"a traceback, exit code {ended.code}: {ended.err[-2000:]}")


def difference(reference: Path, out: Path) -> str | None:
    """The first thing in which a run's results are others; None if they are the same, bit for bit."""
    for file in sorted(reference.rglob("*.safetensors")):
        other = out / file.relative_to(reference)
        if not other.is_file() or other.read_bytes() != file.read_bytes():
            return str(file.relative_to(reference))
    for file in sorted(reference.rglob("metrics.jsonl")):
        other = out / file.relative_to(reference)
        try:
            if measured(other) != measured(file):
                return str(file.relative_to(reference))
        except (ValueError, OSError):
            return f"{file.relative_to(reference)} is damaged"
    drafts = list(out.rglob("*.draft"))
    return f"{drafts[0]} is left behind" if drafts else None


def measured(file: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def _printed(reference: Path, out: str) -> str | None:
    """Whether a command printed another summary, times and memory aside."""
    wanted, given = json.loads((reference / "summary.json").read_text()), json.loads(out)
    for summary in (wanted, given):
        summary.pop("seconds", None), summary.pop("memory", None)
    return None if wanted == given else "the summary it prints"


def _child(words, shim, count, limit, streams, before) -> None:
    """In the fork: the command line, with its output in files."""
    code = 99
    try:
        for number, stream in enumerate(streams, start=1):
            file = os.open(stream, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(file, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        if shim is not None:
            shim.install()
        from potstill.cli import main

        if before is not None:
            runpy.run_path(str(before))
        code = main([word.replace("_on_", " on ") for word in words])
        if count is not None:
            count.write_text(str(shim.count))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _wait(pid: int, began: float) -> int:
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() - began > PATIENCE:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Failure(f"it hangs: no end within {PATIENCE:.0f} s")
        time.sleep(0.005)


def _await_none_with(word: str) -> None:
    """Wait until no process has this in its command line."""
    began = time.monotonic()
    while any(word in _command(process) for process in Path("/proc").glob("[0-9]*")):
        if time.monotonic() - began > PATIENCE:
            raise Failure("its runs go on without it")
        time.sleep(0.05)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
