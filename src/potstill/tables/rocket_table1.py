"""Table 1 of Rocket Launching: light nets alone, with a teacher's help, and launched with a booster."""

from dataclasses import replace
from typing import Any

from potstill.tables.published import quoted
from potstill.tables.row import Budget, Row, Table

PROTOCOL = (
    "SGD with momentum 0.9, lr 0.1, x0.2 after epochs 60, 120, 160 of 200 (bottom nets 70, 130, 190), weight decay "
    "5e-4, batch 128, crops of reflected images, flips; the paper's numbers are medians of 3 runs"
)
ALPHA, TEMPERATURE, BETA, GAMMA = 0.9, 4.0, 1000, 0.03
ROCKET = ("Rocket", "Rocket+KD", "Rocket booster")

# Light net, booster, how they share, and what the light net is called here.
INTERVAL = (("16-1", "wrn-16-1", "wrn-40-1", "interval"), ("16-2", "wrn-16-2", "wrn-40-2", "interval"))
BOTTOM = ("bottom", "wrn-40-1-bottom2", "wrn-40-1", "bottom")


def rocket_rows(budget: Budget, data: str, source: str) -> list[Row]:
    """The rows of tables 1 and 4: the command list of the authors' README."""
    dataset = data.upper()
    rows = [
        *(light_alone(budget, data, source, kind, light) for kind, light, *_ in (*INTERVAL, BOTTOM)),
        *(booster_alone(budget, data, source, network) for network in ("wrn-40-1", "wrn-40-2")),
    ]
    for kind, light, booster, share in (*INTERVAL, BOTTOM):
        training = settings(budget, data, share)
        pair, alone = {"student": light}, f"light-{kind}"
        teacher = f"booster-{booster.removeprefix('wrn-')}"
        if share == "interval":  # the paper: AT does not apply to a net that ends two groups early
            at = {**pair, "terms": ("1 * CE", f"{BETA} * AT on stages")}
            quote = quoted(source, dataset, booster, light, "AT")
            rows.append(Row(f"at-{kind}", "distill", at, training, teacher, published=quote, baseline=alone))
        kd = {**pair, "terms": kd_terms()}
        quote = quoted(source, dataset, booster, light, "KD")
        rows.append(Row(f"kd-{kind}", "distill", kd, training, teacher, published=quote, baseline=alone))
        launch: dict[str, Any] = {"light": light, "booster": booster, "share": share, "gamma": GAMMA}
        with_kd = {**launch, "alpha": ALPHA, "temperature": TEMPERATURE}
        quotes = {method: quoted(source, dataset, booster, light, method) for method in ROCKET}
        helped: dict[str, Any] = {"learners": ("light",), "baseline": alone}
        light_net = Row(f"rocket-{kind}", "rocket", launch, training, None, published=quotes["Rocket"], **helped)
        both = Row(f"rocket-kd-{kind}", "rocket", with_kd, training, teacher, published=quotes["Rocket+KD"], **helped)
        # Column 8 is the other network of the same runs; no booster alone has the schedule of bottom nets.
        own: dict[str, Any] = {"learners": ("booster",), "baseline": teacher if share == "interval" else None}
        booster_net = replace(light_net, name=f"{light_net.name}-booster", runs_of=light_net.name, **own)
        rows += [light_net, both, replace(booster_net, published=quotes["Rocket booster"])]
    return rows


def settings(budget: Budget, data: str, share: str) -> dict[str, Any]:
    """The fields of `Training` that all of the paper's runs have."""
    return {
        "data": data,
        "normalize": "rocket",
        "border": "reflect",
        "epochs": budget.epochs,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "milestones": budget.at(70, 130, 190) if share == "bottom" else budget.at(60, 120, 160),
        "decay": 0.2,
    }


def light_alone(budget: Budget, data: str, source: str, kind: str, network: str) -> Row:
    """A light net without any help: column 3."""
    quote = quoted(source, data.upper(), "-", network, "Baseline")
    return Row(f"light-{kind}", "supervised", {"network": network}, settings(budget, data, kind), published=quote)


def booster_alone(budget: Budget, data: str, source: str, network: str) -> Row:
    """A booster alone, the teacher of KD and AT: column 9."""
    quote = quoted(source, data.upper(), "-", network, "Baseline")
    name = f"booster-{network.removeprefix('wrn-')}"
    return Row(name, "supervised", {"network": network}, settings(budget, data, "none"), published=quote)


def kd_terms() -> tuple[str, str]:
    """KD as the authors have it: a mean over the classes too, times 2 alpha."""
    return f"{1 - ALPHA:g} * CE", f"{2 * ALPHA:g} * KD(temperature={TEMPERATURE:g}, reduction='elementmean')"


SOURCE = "Rocket Launching, AAAI 2018, table 1"
rocket_table1 = Table(
    sentence="Rocket Launching on CIFAR-10: light nets alone, with AT, with KD, launched, and launched with KD.",
    source="Zhou et al., Rocket Launching, AAAI 2018, table 1",
    data="cifar10",
    protocol=PROTOCOL,
    epochs=200,
    make=lambda budget: rocket_rows(budget, "cifar10", SOURCE),
)
