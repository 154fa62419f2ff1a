"""Moonshine: WRN-40-2 with cheap convolutions and smaller wide ResNets, each alone, with KD and with AT."""

from typing import Any

from potstill.tables.row import Budget, Row, Table

DATASETS = ("cifar10", "cifar100")
TEACHER = "wrn-40-2"
SMALLER = ("wrn-16-2", "wrn-40-1", "wrn-16-1")

# The paper's blocks by the names of its code (`networks.cheap` has the paper's own beside them), then two that only
# the code has.
BLOCKS = (
    "Conv2x2",
    *("DConvA2", "DConvA4", "DConvA8", "DConvA16", "DConvG16", "DConvG8", "DConvG4", "DConvG2", "DConv"),
    *("ConvB2", "ConvB4"),
    *("A2B2", "A4B2", "A8B2", "A16B2", "G16B2", "G8B2", "G4B2", "G2B2", "DConvB2", "DConvB4"),
    *("DConv3D", "ACDC"),
)
HELP = {"kd": {"alpha": 0.9, "beta": 0.0, "temperature": 4.0}, "at": {"alpha": 0.0, "beta": 1000.0}}


def _rows(budget: Budget) -> list[Row]:
    rows = []
    for data in DATASETS:
        training = settings(budget, data)
        teacher = f"{data}-{TEACHER}"
        rows.append(Row(teacher, "supervised", {"network": TEACHER}, training))
        students = {network: (network, {"student": network, "conv": "Conv"}) for network in SMALLER}
        students |= {block: (f"{TEACHER}+{block}", {"conv": block}) for block in BLOCKS}
        for name, (network, arguments) in students.items():
            alone = f"{data}-{name}"
            rows.append(Row(alone, "supervised", {"network": network}, training))
            rows += [
                Row(f"{alone}-{kind}", "moonshine", {**arguments, **weights}, training, teacher, baseline=alone)
                for kind, weights in HELP.items()
            ]
    return rows


def settings(budget: Budget, data: str) -> dict[str, Any]:
    """The fields of `Training` that all of the table's runs have."""
    return {
        "data": data,
        "border": "zero",
        "epochs": budget.epochs,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "milestones": budget.at(60, 120, 160),
        "decay": 0.2,
    }


moonshine = Table(
    sentence="Moonshine on CIFAR-10 and CIFAR-100: 24 cheap convolutions in WRN-40-2, and 3 smaller wide ResNets.",
    source="Crowley, Gray and Storkey, Moonshine, NeurIPS 2018; its numbers are not quoted here",
    data="cifar10, cifar100",
    protocol="SGD with momentum 0.9, lr 0.1, x0.2 after epochs 60, 120, 160 of 200, weight decay 5e-4, batch 128, "
    "zero-padded crops, flips, the data sets' own means and deviations (the authors' code has smaller deviations); KD "
    "with alpha 0.9 and temperature 4, a mean over the classes too; AT with beta 1000 beside cross-entropy",
    epochs=200,
    make=_rows,
)
