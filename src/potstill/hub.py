"""The Hugging Face Hub: its files, kept by its own client, and one clear line where it cannot be reached."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from potstill.errors import BadInput

Kind = Literal["model", "dataset"]
Result = TypeVar("Result")
FORM = r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?"
SECONDS = 3.0
"""How long the Hub may take to say that it is there. Its client would try again and again for a minute."""
REMEMBERED = 60.0
"""Seconds for which it counts whether it was there."""
_answers: dict[str, tuple[float, bool]] = {}  # when an endpoint was asked, and whether it answered


class NoRevision(BadInput):
    """A repository is there, but not the revision that is asked for."""


@dataclass(frozen=True)
class Repository:
    """A repository of the Hub, as ``ORG/NAME`` or ``ORG/NAME@REVISION`` names it.

    >>> str(Repository.read("facebook/dinov2-small@main"))
    'facebook/dinov2-small@main'
    """

    name: str
    revision: str | None = None
    kind: Kind = "model"

    @staticmethod
    def read(text: str, kind: Kind = "model") -> "Repository | None":
        """The repository that ``text`` names; None if it has another form."""
        found = re.fullmatch(FORM, text)
        return None if found is None else Repository(found["name"], found["revision"], kind)

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @property
    def place(self) -> dict[str, Any]:
        """How the Hub's client is told which it is."""
        return {"repo_id": self.name, "repo_type": self.kind, "revision": self.revision}

    def fetch(self, file: str) -> Path | None:
        """A file of it, out of the client's cache or downloaded into it; None if it has no such file.

        Raises:
            BadInput: there is no such repository, it is closed to this user, or the Hub cannot be reached.
        """
        client = library("huggingface_hub", "hf")

        def download() -> Path | None:
            try:
                return Path(client.hf_hub_download(filename=file, **self.place))
            except client.errors.LocalEntryNotFoundError as error:
                known = client.try_to_load_from_cache(self.name, file, revision=self.revision, repo_type=self.kind)
                if known is client._CACHED_NO_EXIST:
                    return None
                raise out_of_reach(str(self), error) from error
            except client.errors.EntryNotFoundError:
                return None

        return self.asked(download)

    def asked(self, call: Callable[[], Result]) -> Result:
        """What ``call`` gets from the Hub's client about this repository.

        Raises:
            BadInput: as of `fetch`; the message is one line.
        """
        errors = library("huggingface_hub", "hf").errors
        try:
            with without_waiting():
                return call()
        except errors.GatedRepoError as error:
            raise BadInput(f"{self} is closed: its page on the Hub says how to get in, then hf auth login") from error
        except errors.RepositoryNotFoundError as error:
            raise BadInput(f"{self}: the Hub has no such {self.kind}, or it is private; hf auth login") from error
        except errors.RevisionNotFoundError as error:
            raise NoRevision(f"{self}: the Hub's {self.name} has no revision {self.revision!r}") from error
        except (errors.HfHubHTTPError, OSError) as error:
            raise out_of_reach(str(self), error) from error


def out_of_reach(what: str, error: BaseException) -> BadInput:
    """The error for something that is neither kept here nor to be had."""
    return BadInput(
        f"{what} is neither in the cache of Hugging Face's hub nor to be had from there: {type(error).__name__}; it "
        "needs a connection"
    )


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let the Hub's client answer from its cache alone inside, if the Hub is out of reach; and warn of nothing."""
    constants = library("huggingface_hub", "hf").constants
    log = logging.getLogger("huggingface_hub")
    before, level = constants.HF_HUB_OFFLINE, log.level
    log.setLevel(logging.CRITICAL)
    constants.HF_HUB_OFFLINE = before or not answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        log.setLevel(level)


def answers(endpoint: str) -> bool:
    """Whether anything answers there within `SECONDS`, through the client's proxies; asked once a minute."""
    asked, found = _answers.get(endpoint, (-REMEMBERED, False))
    if time.monotonic() - asked < REMEMBERED:
        return found
    session = library("huggingface_hub", "hf").get_session()
    answered = threading.Event()

    def ask() -> None:
        try:
            session.head(endpoint, timeout=SECONDS)
        except Exception:  # of whichever HTTP library the client has
            return
        answered.set()

    # In a thread: to look a name up may take longer than any time-out.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    _answers[endpoint] = time.monotonic(), answered.is_set()
    return answered.is_set()


def library(name: str, extra: str) -> ModuleType:
    """Import an optional library; BadInput, which names the extra that has it, if it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, but something it needs is not
            raise
        raise BadInput(f"{name} is not installed; it needs: pip install potstill[{extra}]") from error
