"""Rocket Launching in 20 epochs: WRN-16-1 in WRN-40-1 on CIFAR-10, and what each of its parts is worth."""

from typing import Any

from potstill.tables.express import EPOCHS, PROTOCOL, SOURCE, settings
from potstill.tables.rocket_table1 import ALPHA, GAMMA, TEMPERATURE, kd_terms
from potstill.tables.row import Budget, Row, Table

LIGHT, BOOSTER = "wrn-16-1", "wrn-40-1"


def _rows(budget: Budget) -> list[Row]:
    training = settings(budget, "cifar10", "cifar10")
    launch: dict[str, Any] = {"light": LIGHT, "booster": BOOSTER, "share": "interval", "gamma": GAMMA}
    launches = {
        "rocket": {**launch, "gradient_block": True},
        "no-gradient-block": {**launch, "gradient_block": False},
        "no-sharing": {**launch, "share": "none", "gradient_block": True},
    }
    with_kd = {**launch, "alpha": ALPHA, "temperature": TEMPERATURE}
    return [
        Row("light", "supervised", {"network": LIGHT}, training),
        Row("booster", "supervised", {"network": BOOSTER}, training),
        *(
            Row(name, "rocket", arguments, training, None, ("light",), baseline="light")
            for name, arguments in launches.items()
        ),
        Row("kd", "distill", {"student": LIGHT, "terms": kd_terms()}, training, "booster", baseline="light"),
        Row("rocket-kd", "rocket", with_kd, training, "booster", ("light",), baseline="light"),
    ]


express_rocket = Table(
    sentence="Rocket Launching on CIFAR-10 in 20 epochs, WRN-16-1 in WRN-40-1: its parts, and KD from the booster.",
    source=SOURCE,
    data="cifar10",
    protocol=f"{PROTOCOL}; gamma, KD's weight and temperature as in rocket-table1; KD's teacher is the booster alone",
    epochs=EPOCHS,
    make=_rows,
)
