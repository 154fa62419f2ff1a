"""The express protocol: how the tables train that two CPU cores can run, in 20 epochs of all training images."""

from typing import Any

from potstill.tables.row import Budget

EPOCHS = 20
SOURCE = "nobody: a protocol of our own, for two CPU cores"
PROTOCOL = (
    "SGD with Nesterov momentum 0.9, lr 0.1, falling to 0 along half a cosine in 20 epochs, weight decay 5e-4, batch "
    "128, zero-padded crops, flips, all training images; the baseline without help has the same budget; what counts "
    "is the last epoch"
)


def settings(budget: Budget, data: str, normalize: str) -> dict[str, Any]:
    """The fields of `Training` that all runs of the express tables have."""
    return {
        "data": data,
        "normalize": normalize,
        "border": "zero",
        "epochs": budget.epochs,
        "batch_size": 128,
        "optimizer": "nesterov",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "schedule": "cosine",
    }
