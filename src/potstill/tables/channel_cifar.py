"""Channel distillation on CIFAR-100: its ablation, from ResNet-152 to ResNet-50."""

from collections.abc import Mapping
from typing import Any

from potstill.tables.published import quoted
from potstill.tables.row import Budget, Row, Table

SOURCE = "channel-distillation README"
KD = ("0.1 * CE", "0.9 * KD(temperature=4)")  # the authors give neither weight nor temperature of theirs

Methods = Mapping[str, tuple[str, dict[str, Any]]]
"""Recipe and arguments of each method, by its published name, but for the networks."""


def channel_rows(
    dataset: str, teacher: tuple[str, str], student: tuple[str, str], methods: Methods, training: dict[str, Any]
) -> list[Row]:
    """Teacher and student alone, then every method; each network is its published name and its name here."""
    rows = [
        Row(
            kind,
            "supervised",
            {"network": network},
            training,
            published=quoted(SOURCE, dataset, "-", name, "Baseline"),
        )
        for kind, (name, network) in {"teacher": teacher, "student": student}.items()
    ]
    for method, (recipe, arguments) in methods.items():
        quote = quoted(SOURCE, dataset, teacher[0], student[0], method)
        both = {"student": student[1], **arguments}
        name = method.lower().replace("+", "-")
        rows.append(Row(name, recipe, both, training, "teacher", published=quote, baseline="student"))
    return rows


def _rows(budget: Budget) -> list[Row]:
    methods: Methods = {
        "KD": ("distill", {"terms": KD}),
        "CD": ("channel", {"guided": False, "early_decay": False}),
        "CD+GKD": ("channel", {"guided": True, "kd_weight": 0.1, "early_decay": False}),
        "CD+GKD+EDT": (
            "channel",
            {"guided": True, "kd_weight": 0.1, "early_decay": True, "decay_at": budget.at(60, 160)},
        ),
    }
    teacher, student = ("ResNet152", "resnet152-cifar"), ("ResNet50", "resnet50-cifar")
    return channel_rows("CIFAR100", teacher, student, methods, settings(budget))


def settings(budget: Budget) -> dict[str, Any]:
    """The fields of `Training` that all of the table's runs have, those of the authors' code."""
    return {
        "data": "cifar100",
        "normalize": "rocket",
        "border": "reflect",
        "epochs": budget.epochs,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "milestones": budget.at(60, 120, 160),
        "decay": 0.2,
    }


channel_cifar = Table(
    sentence="Channel distillation on CIFAR-100, ResNet-152 to ResNet-50: KD, CD, with guided KD, with early decay.",
    source="channel-distillation README",
    data="cifar100",
    protocol="SGD with momentum 0.9, lr 0.1, x0.2 after epochs 60, 120, 160 of 200, weight decay 5e-4, batch 128, "
    "crops of reflected images, flips; channels weigh 6, guided KD 0.1 at temperature 1; KD 0.9 at temperature "
    "4 beside 0.1 cross-entropy, since the authors do not give theirs; their teacher is in train mode, ours is not",
    epochs=200,
    make=_rows,
)
