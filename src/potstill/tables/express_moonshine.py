"""Moonshine in 20 epochs: WRN-16-2 on CIFAR-10 with four cheap convolutions, each alone and with AT."""

from potstill.tables.express import EPOCHS, PROTOCOL, SOURCE, settings
from potstill.tables.moonshine import HELP
from potstill.tables.row import Budget, Row, Table

TEACHER = "wrn-16-2"
# One of each kind: a bottleneck, groups, groups in a bottleneck, depthwise; 43, 27, 23 and 15 % of the multiply-adds.
CONVS = ("ConvB2", "DConvG8", "G8B2", "DConv")


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget, "cifar10", "cifar10")
    rows = [Row(TEACHER, "supervised", {"network": TEACHER}, training)]
    for conv in CONVS:
        rows.append(Row(conv, "supervised", {"network": f"{TEACHER}+{conv}"}, training))
        rows.append(Row(f"{conv}-at", "moonshine", {"conv": conv, **HELP["at"]}, training, TEACHER, baseline=conv))
    return rows


express_moonshine = Table(
    sentence="Moonshine on CIFAR-10 in 20 epochs: WRN-16-2 with four cheap convolutions, each alone and with AT.",
    source=SOURCE,
    data="cifar10",
    protocol=f"{PROTOCOL}; AT with beta 1000 beside cross-entropy",
    epochs=EPOCHS,
    make=_rows,
)
