"""Table 4 of Rocket Launching, its CIFAR-100 half: table 1 with a hundred classes."""

from potstill.tables.rocket_table1 import PROTOCOL, rocket_rows
from potstill.tables.row import Table

rocket_table4 = Table(
    sentence="Rocket Launching on CIFAR-100: table 1 again; the paper prints numbers for the light net 16-1 only.",
    source="Zhou et al., Rocket Launching, AAAI 2018, table 4",
    data="cifar100",
    protocol=PROTOCOL,
    epochs=200,
    make=lambda budget: rocket_rows(budget, "cifar100", "Rocket Launching, AAAI 2018, table 4"),
)
