"""torchdistill, used as its own example for image classification uses it: https://github.com/yoshitomo-matsubara/torchdistill."""

import logging

import torch
from torch import Tensor
from torch.utils.data import Dataset

from contestants.task import Task, per_image

OUTPUT = {"module_path": ".", "io": "output"}
LABELS = {
    "key": "SimpleLossWrapper",
    "kwargs": {"input": {"is_from_teacher": False, **OUTPUT}, "target": {"uses_label": True}},
}


class Labelled(Dataset[tuple[Tensor, int]]):
    """Images and labels alone, as it expects."""

    def __init__(self, images: Dataset) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.images[place][:2]


class TorchDistill:
    """Its box, with the loop around it: every loss is read, as its logger does."""

    METHODS = ("KD", "AT")

    def __init__(self, task: Task) -> None:
        from torchdistill.common.constant import def_logger
        from torchdistill.core.distillation import DistillationBox

        def_logger.setLevel(logging.ERROR)
        hooks = {name: [net.aliases[stage] for stage in task.tapped] for name, net in _networks(task).items()}
        settings = {"forward_proc": "forward_batch_only", "sequential": []}
        config = {
            "num_epochs": 1,
            "train_data_loader": {
                "dataset_id": "train",
                "sampler": {"class_or_func": torch.utils.data.RandomSampler, "kwargs": {}},
                "kwargs": {"batch_size": task.batch_size, "num_workers": 0},
                "requires_supp": True,
            },
            "teacher": {**settings, "requires_grad": False, "forward_hook": _hooks(hooks["teacher"])},
            "student": {**settings, "requires_grad": True, "forward_hook": _hooks(hooks["student"])},
            "optimizer": {
                "key": "SGD",
                "kwargs": {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
            },
            "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": _terms(task, hooks)}},
        }
        data = {"train": Labelled(per_image(task))}
        device = torch.device("cpu")
        self.box = DistillationBox(task.teacher, task.student, data, config, device, None, False, 1)

    def epoch(self) -> None:
        """Train on all images once."""
        box = self.box
        box.student_model.train()
        box.teacher_model.eval()
        box.pre_epoch_process(epoch=0)
        for images, labels, further in box.train_data_loader:
            loss = box.forward_process(images, labels, further)
            box.post_forward_process(loss)
            loss.item()


def _networks(task: Task) -> dict[str, torch.nn.Module]:
    return {"student": task.student, "teacher": task.teacher}


def _hooks(paths: list[str]) -> dict[str, list[str]]:
    return {"input": [], "output": paths}


def _terms(task: Task, hooks: dict[str, list[str]]) -> dict[str, dict]:
    if task.method == "KD":
        names = {f"{name}_module_{what}": value for name in hooks for what, value in (("path", "."), ("io", "output"))}
        criterion = {"key": "KDLoss", "kwargs": {**names, "temperature": 4, "alpha": 0.1}}
        return {"kd": {"criterion": criterion, "weight": 1}}
    pairs = {
        f"pair{number}": {"student": {"io": "output", "path": s}, "teacher": {"io": "output", "path": t}, "weight": 1}
        for number, (s, t) in enumerate(zip(hooks["student"], hooks["teacher"], strict=True))
    }
    entropy = {"key": "CrossEntropyLoss", "kwargs": {"reduction": "mean"}}
    return {
        "ce": {"criterion": entropy, "criterion_wrapper": LABELS, "weight": 1},
        "at": {"criterion": {"key": "ATLoss", "kwargs": {"at_pairs": pairs, "mode": "code"}}, "weight": 1000},
    }
