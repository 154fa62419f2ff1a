"""A training loop as an experienced engineer writes it: torchvision's transforms, hooks by hand, losses by the book."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from textbook import GatheredCRD, at
from torch import Tensor, nn
from torch.utils.data import DataLoader

from contestants.task import Task, per_image
from potstill import losses


def kd(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    log_p, p = F.log_softmax(student / temperature, dim=1), F.softmax(teacher / temperature, dim=1)
    return F.kl_div(log_p, p, reduction="batchmean") * temperature**2


def dkd(student: Tensor, teacher: Tensor, labels: Tensor, beta: float = 8.0, temperature: float = 4.0) -> Tensor:
    own = F.one_hot(labels, student.shape[1]).bool()

    def two(logits: Tensor) -> Tensor:
        p = F.softmax(logits / temperature, dim=1)
        return torch.stack([(p * own).sum(1), (p * ~own).sum(1)], dim=1)

    target = F.kl_div(two(student).log(), two(teacher), reduction="batchmean") * temperature**2
    others_s, others_t = (F.log_softmax(logits / temperature - 1000.0 * own, dim=1) for logits in (student, teacher))
    rest = F.kl_div(others_s, others_t, reduction="batchmean", log_target=True) * temperature**2
    return target + beta * rest


class Plain:
    """The loop; its loss is chosen by the method."""

    def __init__(self, task: Task) -> None:
        self.task, self.kept = task, {"student": {}, "teacher": {}}
        self.student = task.student.to(memory_format=torch.channels_last).train()
        self.teacher = task.teacher.to(memory_format=torch.channels_last).eval()
        for name, network in (("student", self.student), ("teacher", self.teacher)):
            for stage in task.tapped:
                path, colon, _ = network.aliases[stage].partition(":")
                module = network.get_submodule(path)
                if colon:
                    module.register_forward_pre_hook(self._keep_input(name, stage))
                else:
                    module.register_forward_hook(self._keep(name, stage))
        self.loader = DataLoader(per_image(task), task.batch_size, shuffle=True, num_workers=0)
        self.parts = self._parts()
        parameters = [*self.student.parameters(), *(self.parts.parameters() if self.parts is not None else ())]
        self.optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def _keep(self, name: str, stage: str) -> Callable[..., None]:
        def hook(_module, _inputs, output) -> None:
            self.kept[name][stage] = output

        return hook

    def _keep_input(self, name: str, stage: str) -> Callable[..., None]:
        def hook(_module, inputs) -> None:
            self.kept[name][stage] = inputs[0]

        return hook

    def _parts(self) -> nn.Module | None:
        """Losses that train something have no literal form worth writing again, except that CRD gathers."""
        made = {"CRD": lambda: GatheredCRD(samples=50_000), "ReviewKD": lambda: losses.ReviewKD()}.get(self.task.method)
        if made is None:
            return None
        loss = made()
        images, labels, index = next(iter(self.loader))
        with torch.no_grad():
            self.student.eval()
            self.student(images), self.teacher(images)
            self.student.train()
        loss.build(*self._inputs(labels, index))
        return loss.train()

    def _inputs(self, labels: Tensor, index: Tensor) -> list:
        if self.task.method == "CRD":
            return [self.kept["student"]["pooled"], self.kept["teacher"]["pooled"], index, labels]
        return [[self.kept[name][stage] for stage in self.task.tapped] for name in ("student", "teacher")]

    def _loss(self, student: Tensor, teacher: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        loss = F.cross_entropy(student, labels)
        if self.task.method == "KD":
            return 0.1 * loss + 0.9 * kd(student, teacher)
        if self.task.method == "DKD":
            return loss + dkd(student, teacher, labels)
        if self.task.method == "AT":
            pairs = ((self.kept["student"][stage], self.kept["teacher"][stage]) for stage in self.task.tapped)
            return loss + 1000 * sum(at(s, t) for s, t in pairs)
        return loss + 0.8 * self.parts(*self._inputs(labels, index))

    def epoch(self) -> None:
        """Train on all images once."""
        for images, labels, index in self.loader:
            student = self.student(images)
            with torch.no_grad():
                teacher = self.teacher(images)
            loss = self._loss(student, teacher, labels, index)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
