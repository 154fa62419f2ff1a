"""What a teacher is worth without any label: resnet20 on CIFAR-10 in ten epochs, by KD, by its labels, and by both."""

from potstill.tables.express import settings
from potstill.tables.row import Budget, Row, Table

TEACHER, STUDENT = "resnet56a", "resnet20"
TEACHER_FILE = "teachers/resnet56-4bfd9763.th"
TEACHER_URL = "https://github.com/akamaster/pytorch_resnet_cifar10"
TEMPERATURE = 4
KD_WEIGHT = 0.9
"""Beside cross-entropy; its own weight is the rest."""


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget, "cifar10", "imagenet")  # as the teacher was trained
    kd = f"{KD_WEIGHT} * KD(temperature={TEMPERATURE})"
    pair = {"student": STUDENT, "teacher": TEACHER}
    both = (f"{1 - KD_WEIGHT:.1f} * CE", kd)
    return [
        Row("labels", "supervised", {"network": STUDENT}, training),
        Row("kd", "distill", {**pair, "terms": (kd,)}, training, teacher_file=TEACHER_FILE, baseline="labels"),
        Row("both", "distill", {**pair, "terms": both}, training, teacher_file=TEACHER_FILE, baseline="labels"),
    ]


unlabelled_cifar10 = Table(
    sentence="CIFAR-10 in 10 epochs, a given resnet56 to resnet20: without any label, with labels alone, with both.",
    source="nobody: a protocol of our own, for two CPU cores",
    data="cifar10",
    protocol="SGD with Nesterov momentum 0.9, lr 0.1, falling to 0 along half a cosine in 10 epochs, decay 5e-4, "
    "batch 128, zero-padded crops, flips, all training images; kd sees no label of theirs (its bits are those of "
    f"`--unlabelled`), labels of the test set measure it; the teacher is {TEACHER_FILE} in the data folder, from "
    f"{TEACHER_URL}; what counts is the last epoch",
    epochs=10,
    make=_rows,
)
"""Ten epochs, so that all of it takes two CPU cores an hour."""
