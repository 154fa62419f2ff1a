"""What is measured of a run's networks, on which images."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from potstill.answers.tested import Tested
from potstill.batch import Batch, as_batch
from potstill.data.data import Batches, Data
from potstill.distiller import Distiller
from potstill.engine.details import Answers
from potstill.engine.evaluate import evaluate
from potstill.engine.suited import Measure, WithTeacher
from potstill.engine.undisturbed import undisturbed
from potstill.errors import BadInput, TrainingFailed
from potstill.eval_mode import eval_mode
from potstill.example_pass import FEW
from potstill.guard import foreign
from potstill.network_call import call, title
from potstill.outputs import logits_of
from potstill.runs.details import Details
from potstill.runs.headline import describe
from potstill.runs.names import averaged
from potstill.runs.schema import Measured, Splits
from potstill.soundness import is_constant

SOME = 32  # images are enough to see whether a teacher tells them apart


class Measuring:
    """Measures a distiller's networks. Random numbers are as they were, whatever a loader of test images draws.

    Accuracy is measured of classifiers, see `Distiller`; a measure of the caller's own, of every learner.

    Args:
        measure: of a network on batches: numbers by name, the first of which heads the summary.
        distiller: whose networks.
        data: on whose test images, and held-out images if there are any.
        kept: the folder where teachers' answers to the test images are kept, if they are.
    """

    def __init__(self, measure: Measure, distiller: Distiller, data: Data, kept: Path | None = None) -> None:
        if not callable(measure):
            raise BadInput(f"measure is a function of a network and batches, not a {type(measure).__name__}")
        self.measure, self.distiller, self.data = measure, distiller, data
        self.kept = kept if measure is evaluate else None
        self.answers: dict[str, Tensor] = {}  # of teachers, to the test images, as far as they are known
        self.details: dict[str, Details] = {}  # of learners, once they were measured for the last time

    def before(self, say: Callable[[str], None]) -> dict[str, Measured]:
        """What networks reach on the test images before anything trains, said: `teachers`, and whatever the measure
        tells of networks by their names, if it has a method ``beforehand``.
        """
        found = self.teachers(say)
        look = getattr(self.measure, "beforehand", None)
        if look is None or self.data.test is None:
            return found
        with undisturbed(), foreign("measure"):
            told: dict[str, Measured] = look(self.data.test)
        for name, measured in told.items():
            begins = "" if name in self.distiller.teachers else " before training"
            say(f"{name}{begins}: {describe(measured)} of the test images")
        return found | told

    def teachers(self, say: Callable[[str], None]) -> dict[str, Measured]:
        """What each teacher that classifies reaches on the test images, said before anything trains.

        Raises:
            BadInput: its outputs for one of them are not finite.
        """
        found: dict[str, Measured] = {}
        for name, teacher in self.distiller.teachers.items():
            found[name] = {}
            if isinstance(self.measure, WithTeacher):  # which agrees with itself
                continue
            if name in self.distiller.classifiers and self.data.test is not None:
                found[name] = self._on(self._tested(name, teacher), teacher, self.data.test)
                if not math.isfinite(found[name].get("loss", 0.0)):
                    raise BadInput(f"{name} is broken: its outputs for some of the test images are not finite")
                say(f"{name}: {describe(found[name])} of the test images")
        return found

    def learners(
        self, epoch: int, averages: Mapping[str, nn.Module] | None = None, *, last: bool = False
    ) -> dict[str, Splits]:
        """What each learner, and the average of its weights, reaches on the ``test`` and ``holdout`` images.

        In the ``last`` epoch the same pass over the test images gives `details`, if accuracy is what is measured.

        Raises:
            TrainingFailed: its last update has broken it, which no term has seen.
        """
        found: dict[str, Splits] = {}
        classify = {*self.distiller.classifiers, *map(averaged, self.distiller.classifiers)}
        for name, network in {**self.distiller.learners, **(averages or {})}.items():
            fits = name in classify or self.measure is not evaluate
            measure = self._closely(name) if last and self.measure is evaluate else self.measure
            found[name] = {
                "test": self._on(measure, network, self.data.test) if fits and self.data.test is not None else {}
            }
            if fits and self.data.holdout is not None:
                found[name]["holdout"] = self._on(self.measure, network, self.data.holdout)
            _check_finite(name, network, found[name]["test"], epoch)
        return found

    def in_detail(self) -> dict[str, Details]:
        """`details` of the learners that classify; of a run that was stopped after its last epoch, from a pass now."""
        if self.measure is evaluate and self.data.test is not None:
            for name, network in self.distiller.learners.items():
                if name in self.distiller.classifiers and name not in self.details:
                    self._on(self._closely(name), network, self.data.test)
        return self.details

    def _closely(self, name: str) -> Measure:
        """The measure of accuracy, which leaves a learner's details behind."""

        def look(network: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
            answers = Answers()
            measured = evaluate(network, batches, answers)
            self.details[name] = answers.details(self.data.classes)
            return measured

        return look

    def _tested(self, name: str, teacher: nn.Module) -> Measure:
        """The measure; of a teacher whose answers are kept, one that looks them up."""
        if self.kept is None:
            return self.measure
        tested = Tested(self.kept, teacher, self.data, evaluate)

        def look_up(_: nn.Module, __: Iterable[Batch]) -> dict[str, float]:
            measured, logits = tested.measure()
            if logits is not None:
                self.answers[name] = logits
            return measured

        return look_up

    @staticmethod
    def _on(measure: Measure, network: nn.Module, batches: Batches) -> Measured:
        with undisturbed(), foreign("measure"):
            measured = measure(network, batches)
        if not isinstance(measured, Mapping) or not measured:
            raise BadInput(f"measure gives numbers by name, as {{'top1': 93.1}}, not {measured!r}")
        return {str(name): _plain(name, value) for name, value in measured.items()}


def check_networks(distiller: Distiller, data: Data) -> None:
    """Look at what networks say of the first training images, before anything is written.

    Raises:
        BadInput: a classifier has other classes than the data; a teacher's outputs are not finite, or the same for all
            images: it has nothing to teach.
    """
    images = as_batch(data.example()).get("images")
    if images is None:
        return
    for name, network in distiller.networks.items():
        teaches = name in distiller.teachers
        if name not in distiller.of_images or name not in distiller.classifiers or not (teaches or data.classes):
            continue
        said, looked_at = title(network, name), images[: SOME if teaches else FEW]
        outputs = _outputs(network, said, looked_at)
        if data.classes and outputs.shape[1] != len(data.classes):
            raise BadInput(f"{said} has {outputs.shape[1]} classes, but {data.name} has {len(data.classes)}")
        if teaches:
            _check_teacher(said, outputs, looked_at)


def _outputs(network: nn.Module, name: str, images: Tensor) -> Tensor:
    device = next((value.device for value in (*network.parameters(), *network.buffers())), images.device)
    images = images.to(device).clone(memory_format=torch.contiguous_format)  # which all networks bear
    with undisturbed(), eval_mode(network), torch.no_grad():
        return logits_of(call(network, name, images), name)


def _check_teacher(name: str, outputs: Tensor, images: Tensor) -> None:
    """Refuse one whose outputs say nothing: its student would be blamed for that later, or nobody."""
    if not bool(outputs.isfinite().all()):
        raise BadInput(f"{name} is broken: its outputs for the first training images are not finite (nan or inf)")
    if is_constant(outputs, [images]):
        raise BadInput(f"{name} has nothing to teach: its outputs are the same for all of the first training images")


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
