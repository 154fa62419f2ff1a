"""Channel distillation on ImageNet: its ablation and what it is compared with, from ResNet-34 to ResNet-18."""

from typing import Any

from potstill.tables.channel_cifar import KD, Methods, channel_rows
from potstill.tables.row import Budget, Row, Table


def _rows(budget: Budget) -> list[Row]:
    at = budget.at(30, 60, 90)
    # Here the authors let the channels decay without EDT too; what EDT adds is that the labels come later.
    decaying = f"milestones(6, {list(at)}, 0.9) * CD(connector=True) on stages"
    methods: Methods = {
        "KD": ("distill", {"terms": KD}),
        "FitNet": ("distill", {"terms": ("1 * CE", "100 * FitNet(regressor=True) on stage2")}),
        "AT": ("distill", {"terms": ("1 * CE", "1000 * AT on stages")}),
        "RKD": ("distill", {"terms": ("1 * CE", "1 * RKD(distance=25, angle=50)")}),
        "CD": ("channel", {"guided": False, "early_decay": False}),
        "CD+GKD": ("distill", {"terms": ("1 * CE", decaying, "1 * KD(temperature=1, guided=True)")}),
        "CD+GKD+EDT": ("channel", {"guided": True, "kd_weight": 1.0, "early_decay": True, "decay_at": at}),
    }
    return channel_rows("ImageNet", ("ResNet34", "resnet34"), ("ResNet18", "resnet18"), methods, settings(budget))


def settings(budget: Budget) -> dict[str, Any]:
    """The fields of `Training` that all of the table's runs have, those of the authors' code."""
    return {
        "data": "imagenet",
        "epochs": budget.epochs,
        "batch_size": 256,
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 1e-4,
        "milestones": budget.at(30, 60, 90),
        "decay": 0.1,
    }


channel_imagenet = Table(
    sentence="Channel distillation on ImageNet, ResNet-34 to ResNet-18, beside KD, FitNet, AT and RKD.",
    source="channel-distillation README",
    data="imagenet",
    protocol="SGD with momentum 0.9, lr 0.1, x0.1 after epochs 30, 60, 90 of 100, weight decay 1e-4, batch 256; "
    "channels weigh 6, guided KD 1 at temperature 1; the authors give no settings for KD, FitNet, AT and RKD, which "
    "have those of the CRD benchmark; the authors download their teacher and leave it in train mode, ours is trained "
    "first and in eval mode",
    epochs=100,
    make=_rows,
)
