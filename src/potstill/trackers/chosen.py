"""Which trackers ``--log`` names, and whether they are installed."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from potstill.engine.recorders import Recorder
from potstill.errors import BadInput
from potstill.runs.folder import RunFolder
from potstill.runs.schema import Epoch
from potstill.trackers.mlflow import Mlflow
from potstill.trackers.patient import Patient, read_known
from potstill.trackers.tensorboard import TensorBoard
from potstill.trackers.told import Told, Tracker
from potstill.trackers.trackio import Trackio
from potstill.trackers.wandb import Wandb

TENSORBOARD = "tensorboard"
ELSEWHERE: dict[str, Callable[[Told], Tracker]] = {"wandb": Wandb, "mlflow": Mlflow, "trackio": Trackio}
"""Those that show a run somewhere else than in its folder, by the names of their libraries."""


def must_be_installed(names: Sequence[str]) -> None:
    """Raise BadInput, before anything is trained, for a tracker that is not there."""
    for name in names:
        if find_spec(name) is None:
            raise BadInput(f"--log {name}: {name} is not installed; it needs: pip install potstill[log]")


def recorders_of(
    names: Sequence[str], run: RunFolder, history: Sequence[Epoch], say: Callable[[str], None]
) -> list[Recorder]:
    """A recorder for each of the names, which go on after the epochs in ``history``."""
    known, found = read_known(run, say), list[Recorder]()
    for name in dict.fromkeys(names):
        if name == TENSORBOARD:
            found.append(TensorBoard(run.path, purge_step=len(history)))
        else:
            found.append(Patient(name, ELSEWHERE[name], run, known, history, say))
    return found
