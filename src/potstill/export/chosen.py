"""Which network of a run is exported, and what it stood beside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.engine.run_folder import CONFIG, read_json
from potstill.errors import BadInput
from potstill.networks import run_folder

USUAL = ("student", "light")
"""The networks a run is for, whatever else it trains."""
LARGER = {"student": "teacher", "light": "booster"}
"""Which network of a run an exported one is compared with."""


@dataclass(frozen=True)
class Chosen:
    """A network of a run: which, what it is made from, and the weights of which epoch."""

    folder: Path
    name: str
    spec: str
    classes: int
    weights: Path
    config: dict[str, Any]

    @property
    def is_best(self) -> bool:
        """Whether the weights are those of the best epoch, and not of the last."""
        return self.weights.stem == f"{self.name}-best"

    @property
    def epoch(self) -> str:
        """Which epoch the weights are of, in words."""
        return "best epoch" if self.is_best else "last epoch"

    @property
    def larger(self) -> str | None:
        """The run's network that this one is compared with: its teacher, or a light net's booster."""
        name = LARGER.get(self.name)
        return name if name in self.config["networks"] else None

    def summary(self) -> dict[str, Any]:
        """The run's summary, empty while it is unfinished."""
        file = self.folder / "summary.json"
        return read_json(file) if file.is_file() else {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the run's config.json says of the network."""
        found: dict[str, Any] = self.config["networks"][self.name]
        return found


def choose(run: str, best: bool = False) -> Chosen:
    """The network that ``FOLDER`` or ``FOLDER:NAME`` means: without a name ``student``, ``light`` or the only learner.

    Raises:
        BadInput: no such run or network, several equal ones, one without weights or made by hand.
    """
    folder = Path(run)
    usual = [name for name in USUAL if (folder / f"{name}.safetensors").is_file()]
    stored = run_folder.find(f"{run}:{usual[0]}" if run and usual else run)
    if stored is None:
        raise run_folder.missing(run)
    folder, name, weights = stored.weights.parent, stored.weights.stem, stored.weights
    config = read_json(folder / CONFIG)
    if config["networks"][name]["spec"] is None:
        raise BadInput(f"{name} of {folder} was made by hand: nothing tells how to make it again; name it file.py:NAME")
    if best:
        weights = folder / f"{name}-best.safetensors"
        if not weights.is_file():
            raise BadInput(f"run folder {folder} has no weights {weights.name}")
    return Chosen(folder, name, stored.spec, stored.classes, weights, config)
