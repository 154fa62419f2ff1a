"""Table 2 of Rocket Launching: what the gradient block and the sharing of weights are worth."""

from dataclasses import replace
from typing import Any

from potstill.tables.published import quoted
from potstill.tables.rocket_table1 import BOTTOM, GAMMA, INTERVAL, PROTOCOL, light_alone, settings
from potstill.tables.row import Budget, Row, Table

SOURCE = "Rocket Launching, AAAI 2018, table 2"


def _rows(budget: Budget) -> list[Row]:
    rows = []
    for kind, light, booster, share in (INTERVAL[0], BOTTOM):
        training = settings(budget, "cifar10", share)
        launch: dict[str, Any] = {"light": light, "booster": booster, "share": share, "gamma": GAMMA}
        changes: dict[str, tuple[str, dict[str, Any]]] = {
            "rocket": ("Rocket", {"gradient_block": True}),
            "no-gradient-block": ("Rocket without gradient block", {"gradient_block": False}),
            "no-sharing": ("Rocket without sharing", {"share": "none", "gradient_block": True}),
        }
        rows.append(light_alone(budget, "cifar10", SOURCE, kind, light))
        for name, (method, change) in changes.items():
            quote = quoted(SOURCE, "CIFAR10", booster, light, method)
            arguments = {**launch, **change}
            row = Row(f"{name}-{kind}", "rocket", arguments, training, None, ("light",), published=quote)
            rows.append(replace(row, baseline=f"light-{kind}"))
    return rows


rocket_table2 = Table(
    sentence="Rocket Launching on CIFAR-10 without its gradient block and without shared weights.",
    source="Zhou et al., Rocket Launching, AAAI 2018, table 2",
    data="cifar10",
    # Its code parsed both switches so that they were always on.
    protocol=PROTOCOL + "; the authors' published command for this table leaves both switches on",
    epochs=200,
    make=_rows,
)
