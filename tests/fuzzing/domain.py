"""What a fuzzed input must come to: a result or one clear line, soon, and in little memory."""

import contextlib
import io
import re
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase

from potstill.errors import BadInput, TrainingFailed

SECONDS, BYTES = 10.0, 4 << 30


@dataclass(frozen=True)
class Domain:
    """Inputs of one kind, plain values that `repr` can write down, and what is done with one in an empty folder."""

    inputs: hypothesis.strategies.SearchStrategy[Any]
    run: Callable[[Any, Path], None]


class Hang(BaseException):
    """It takes too long; no guard around foreign code may swallow this."""


@dataclass(frozen=True)
class Failure:
    """An input that ended otherwise than it should."""

    value: str
    error: str
    where: str
    traceback: str


@dataclass
class Outcome:
    """What became of many inputs."""

    inputs: int = 0
    refused: int = 0
    longest: float = 0.0
    slowest: str = ""
    failures: list[Failure] = field(default_factory=list)


@contextlib.contextmanager
def limits(seconds: float, extra: int) -> Iterator[None]:
    """Stop what runs longer, and refuse memory beyond what the process has now and ``extra`` bytes.

    Time that it spends ready to run while other processes have the processor does not count.
    """
    started, waited = time.perf_counter(), _waited()

    def stop(number: int, frame: FrameType | None) -> None:
        left = seconds - (time.perf_counter() - started) + (_waited() - waited)
        if left <= 0:
            raise Hang(f"still running after {seconds} s")
        signal.setitimer(signal.ITIMER_REAL, left)

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + extra, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _waited() -> float:
    """Seconds that this thread has been ready to run and was not running."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


def attempt(domain: Domain, value: Any, outcome: Outcome, seconds: float = SECONDS, extra: int = BYTES) -> None:
    """Run one input and write into ``outcome`` what became of it."""
    outcome.inputs += 1
    started, waited = time.perf_counter(), _waited()
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        warnings.catch_warnings(),
        silent[0],
        silent[1],
    ):
        warnings.simplefilter("ignore")
        try:
            with limits(seconds, extra):
                domain.run(value, Path(folder))
        except (BadInput, TrainingFailed, OSError):  # what the command line makes a line of
            outcome.refused += 1
        except (Exception, SystemExit, Hang) as error:
            outcome.failures.append(describe(value, error))
    took = time.perf_counter() - started - (_waited() - waited)
    if took > outcome.longest:
        outcome.longest, outcome.slowest = took, repr(value)[:300]


def without_places(text: str) -> str:
    """A traceback without the folders of the machine that it came from."""
    return re.sub(r'File "/[^"]*?/((?:site-packages|src|lib)/[^"]+)"', r'File "\1"', text)


def describe(value: Any, error: BaseException) -> Failure:
    """A failure, with the last place in the package that it passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/src/potstill/" in frame.filename]
    last = f"{frames[-1].filename.rpartition('/src/')[2]}:{frames[-1].name}" if frames else "outside"
    text = without_places("".join(traceback.format_exception(error, limit=-6)))
    return Failure(repr(value), f"{type(error).__name__}: {str(error)[:300]}", last, text[-3000:])


def fuzz(domain: Domain, count: int, seed: int, before: Callable[[Any], None] = lambda value: None) -> Outcome:
    """Run at least ``count`` inputs that ``seed`` draws, the same ones every time."""
    outcome, round_ = Outcome(), 0
    while outcome.inputs < count and round_ < 10:

        @hypothesis.seed(seed * 1000 + round_)
        @hypothesis.settings(
            max_examples=count - outcome.inputs,
            phases=(Phase.generate,),
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(domain.inputs)
        def one(value: Any) -> None:
            before(value)
            attempt(domain, value, outcome)

        one()
        round_ += 1
    return outcome
