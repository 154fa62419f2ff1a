"""What a given teacher is worth on CIFAR-100 in 20 epochs: resnet56 to resnet20, by eleven methods."""

from typing import Any

from potstill.tables.crd_benchmark import terms
from potstill.tables.express import EPOCHS, PROTOCOL, SOURCE, settings
from potstill.tables.row import Budget, Row, Table

TEACHER, STUDENT = "resnet56", "resnet20"
TEACHER_FILE = "teachers/cifar100_resnet56-f2eff4c8.pt"
TEACHER_URL = "https://github.com/chenyaofo/pytorch-cifar-models"
BENCHMARKED = ("KD", "DKD", "AT", "CRD", "DIST", "ReviewKD", "KD+LS")
"""The methods that have the weights of the CRD benchmark."""


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget, "cifar100", "chenyaofo")  # as the teacher was trained
    methods: dict[str, tuple[str, dict[str, Any]]] = {
        method: ("distill", {"terms": terms(method, Budget(240, budget.epochs), TEACHER, STUDENT)})
        for method in BENCHMARKED
    }
    guided = {"guided": True, "kd_weight": 0.1}
    methods["CD"] = "channel", {"guided": False, "early_decay": False}
    methods["CD+GKD"] = "channel", {**guided, "early_decay": False}
    methods["CD+GKD+EDT"] = "channel", {**guided, "early_decay": True, "decay_at": budget.at(6, 16)}
    pair = {"student": STUDENT, "teacher": TEACHER}
    given: dict[str, Any] = {"teacher_file": TEACHER_FILE, "baseline": "alone"}
    return [
        Row("alone", "supervised", {"network": STUDENT}, training),
        *(
            Row(method.lower().replace("+", "-"), recipe, {**pair, **own}, training, **given)
            for method, (recipe, own) in methods.items()
        ),
    ]


express_cifar100 = Table(
    sentence="CIFAR-100 in 20 epochs, a given resnet56 to resnet20: KD, DKD, AT, CRD, channels and newer methods.",
    source=SOURCE,
    data="cifar100",
    protocol=f"{PROTOCOL}; weights of the losses as in crd-benchmark and channel-cifar, whose epochs are scaled; the "
    f"teacher is {TEACHER_FILE} in the data folder, from {TEACHER_URL}",
    epochs=EPOCHS,
    make=_rows,
)
