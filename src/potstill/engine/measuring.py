"""What is measured of a run's networks, on which images."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from potstill.batch import Batch, as_batch
from potstill.data.data import Batches, Data
from potstill.distiller import Distiller
from potstill.engine.evaluate import evaluate
from potstill.errors import BadInput, TrainingFailed
from potstill.eval_mode import eval_mode
from potstill.example_pass import FEW
from potstill.guard import foreign
from potstill.network_call import call, title
from potstill.outputs import logits_of
from potstill.runs.headline import describe
from potstill.runs.schema import Measured, Splits

Measure = Callable[[nn.Module, Iterable[Batch]], Mapping[str, float]]


class Measuring:
    """Measures a distiller's networks. Random numbers are as they were, whatever a loader of test images draws.

    Accuracy is measured of classifiers, see `Distiller`; a measure of the caller's own, of every learner.

    Args:
        measure: of a network on batches: numbers by name, the first of which heads the summary.
        distiller: whose networks.
        data: on whose test images, and held-out images if there are any.
    """

    def __init__(self, measure: Measure, distiller: Distiller, data: Data) -> None:
        if not callable(measure):
            raise BadInput(f"measure is a function of a network and batches, not a {type(measure).__name__}")
        self.measure, self.distiller, self.data = measure, distiller, data

    def teachers(self, say: Callable[[str], None]) -> dict[str, Measured]:
        """What each teacher that classifies reaches on the test images, said before anything trains."""
        found: dict[str, Measured] = {}
        for name, teacher in self.distiller.teachers.items():
            found[name] = {}
            if name in self.distiller.classifiers and self.data.test is not None:
                found[name] = self._on(teacher, self.data.test)
                say(f"{name}: {describe(found[name])} of the test images")
        return found

    def learners(self, epoch: int) -> dict[str, Splits]:
        """What each learner reaches on the ``test`` images, and on those of the ``holdout``.

        Raises:
            TrainingFailed: its last update has broken it, which no term has seen.
        """
        found: dict[str, Splits] = {}
        for name, network in self.distiller.learners.items():
            fits = name in self.distiller.classifiers or self.measure is not evaluate
            found[name] = {"test": self._on(network, self.data.test) if fits and self.data.test is not None else {}}
            if fits and self.data.holdout is not None:
                found[name]["holdout"] = self._on(network, self.data.holdout)
            _check_finite(name, network, found[name]["test"], epoch)
        return found

    def _on(self, network: nn.Module, batches: Batches) -> Measured:
        device = self.distiller.weights.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), foreign("measure"):
            measured = self.measure(network, batches)
        if not isinstance(measured, Mapping) or not measured:
            raise BadInput(f"measure gives numbers by name, as {{'top1': 93.1}}, not {measured!r}")
        return {str(name): _plain(name, value) for name, value in measured.items()}


def check_classes(distiller: Distiller, data: Data) -> None:
    """Compare the classes of the networks that have the labels' classes with those of the data.

    Raises:
        BadInput: they are of other numbers.
    """
    images = as_batch(data.example()).get("images")
    if not data.classes or images is None:
        return
    device = distiller.weights.device
    for name, network in distiller.classifiers.items():
        if name not in distiller.of_images:
            continue
        few = images[:FEW].to(device).clone(memory_format=torch.contiguous_format)  # which all networks bear
        with eval_mode(network), torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            classes = logits_of(call(network, name, few), name).shape[1]
        if classes != len(data.classes):
            raise BadInput(f"{title(network, name)} has {classes} classes, but {data.name} has {len(data.classes)}")


def _plain(name: str, value: object) -> float:
    """A number as JSON has it, out of a tensor or of numpy."""
    item = getattr(value, "item", None)
    plain = item() if item is not None else value
    if not isinstance(plain, int | float):
        raise BadInput(f"measure gives numbers by name, but {name!r} is {value!r}")
    return plain


def _check_finite(name: str, network: nn.Module, measured: Measured, epoch: int) -> None:
    """Never save weights that the last step of an epoch has broken."""
    if "loss" in measured:
        sound = math.isfinite(measured["loss"])
    else:
        sound = all(bool(value.isfinite().all()) for value in network.state_dict().values())
    if not sound:
        raise TrainingFailed(f"{name} gives no finite output after epoch {epoch}: its last update broke it")
