"""What is measured of a run's networks where nobody says otherwise: that follows from the labels of its images."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from potstill.batch import Batch, as_batch
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.agreement import agreement
from potstill.engine.average_precision import mean_average_precision
from potstill.engine.evaluate import evaluate
from potstill.engine.undisturbed import undisturbed
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.networks.ensemble import MeanOfLogits

Measure = Callable[[nn.Module, Iterable[Batch]], Mapping[str, float]]


class WithTeacher:
    """Measures how far a network agrees with a teacher, on images of which nobody knows the classes.

    Args:
        teacher: of the same classes.
        several: whether an image may be of several classes.
    """

    def __init__(self, teacher: nn.Module, several: bool = False) -> None:
        self.teacher, self.several = teacher, several

    def __call__(self, network: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Measure a network.

        Returns:
            ``agreement``: how often both choose the same class, in percent; ``kl``: the mean of KL(teacher || network)
            in nats, at temperature 1; ``n`` images. Where an image may be of several classes: how often both say the
            same of a class, and the divergence of the answers to one class.

        Raises:
            BadInput: no batch.
        """
        like = next(network.parameters(), torch.empty(0))
        both = {"network": network, "teacher": self.teacher}
        with eval_mode(network), eval_mode(self.teacher), torch.no_grad():
            found = agreement({"network": network}, both, batches, like.device, self.several)["network"]
        if not found:
            raise BadInput("nothing to evaluate: no batch")
        measured = found["teacher"]
        return {"agreement": measured["top1"], "kl": measured["kl"], "n": measured["n"]}


def suited(measure: Measure, distiller: Distiller, data: Data) -> Measure:
    """The measure of a run: the caller's own, or what suits its images.

    That is accuracy; of images that may have several labels, the mean average precision; of images without labels, the
    agreement with the teacher, or with the mean of several.
    """
    if measure is not evaluate or data.test is None:
        return measure
    usual = mean_average_precision if data.several else measure
    if not data.unlabelled:
        return usual
    with undisturbed():
        labelled = "labels" in as_batch(data.test.example())
    teachers = [network for name, network in distiller.teachers.items() if name in distiller.classifiers]
    if labelled or not teachers:
        return usual
    return WithTeacher(teachers[0] if len(teachers) == 1 else MeanOfLogits(teachers).eval(), data.several)
