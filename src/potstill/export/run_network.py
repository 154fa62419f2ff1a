"""Which network of a run is exported, and what it stood beside."""

from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput
from potstill.runs import networks
from potstill.runs.manifest import verify
from potstill.runs.names import best_weights
from potstill.runs.reading import read_config, read_summary
from potstill.runs.schema import Config, Network, Summary
from potstill.runs.trust import located

USUAL = ("student", "light")
"""The networks a run is for, whatever else it trains."""
LARGER = {"student": "teacher", "light": "booster"}
"""Which network of a run an exported one is compared with."""


@dataclass(frozen=True)
class RunNetwork:
    """A network of a run: which, what it is made from, and the weights of which epoch."""

    folder: Path
    name: str
    spec: str
    classes: int
    weights: Path
    config: Config

    @property
    def is_best(self) -> bool:
        """Whether the weights are those of the best epoch, and not of the last."""
        return self.weights.name == best_weights(self.name)

    @property
    def epoch(self) -> str:
        """Which epoch the weights are of, in words."""
        return "best epoch" if self.is_best else "last epoch"

    @property
    def larger(self) -> str | None:
        """The run's network that this one is compared with: its teacher, or a light net's booster."""
        name = LARGER.get(self.name)
        return name if name in self.config["networks"] else None

    def summary(self) -> Summary | None:
        """The run's summary; None while it is unfinished."""
        return read_summary(self.folder)

    def must_classify(self) -> "RunNetwork":
        """Itself.

        Raises:
            BadInput: it is a backbone, which has no classes.
        """
        if self.classes == 0:
            raise networks.backbone(str(self.folder), self.spec)
        return self

    @property
    def identity(self) -> Network:
        """What makes the network here."""
        return self.located(self.name)

    def located(self, name: str) -> Network:
        """What makes a network of the run here, out of the run folder's own copy of its code.

        Raises:
            BadInput: that code is not this user's, and nobody said to trust it.
        """
        return located(self.config["networks"][name], self.folder)


def choose_network(run: str, best: bool = False) -> RunNetwork:
    """The network that ``FOLDER`` or ``FOLDER:NAME`` means: without a name ``student``, ``light`` or the only learner.

    Raises:
        BadInput: no such run or network, several equal ones, one without weights or made by hand.
    """
    usual = [name for name in USUAL if Path(run).is_dir() and networks.has_weights(Path(run), name)]
    stored = networks.find(f"{run}:{usual[0]}" if run and usual else run)
    if stored is None:
        raise networks.missing(run)
    spec, classes = stored.made_from()
    file = stored.folder / best_weights(stored.name) if best else stored.weights
    verify(file)
    if not file.is_file():
        raise BadInput(f"run folder {stored.folder} has no weights {file.name}")
    return RunNetwork(stored.folder, stored.name, spec, classes, file, read_config(stored.folder))
