"""Newer methods without a fixed teacher: each case is computed from its settings, never by its name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from oracle.case import Case
from oracle.computed import Computed, Inputs
from oracle.relation_cases import numbered
from potstill.losses import BYOT, DLB, HSAKD, KD, ONE, PSKD, SSKD
from potstill.losses.branch import make_branch
from potstill.losses.byot import feature_distance
from potstill.optimizers import DOT


def one(case: Case, x: Inputs, state: Inputs) -> Computed:
    branches = numbered(x, "branch")
    loss = ONE(case.settings["T"])
    loss.build((*(b.detach() for b in branches), x["gate_features"].detach()), x["labels"], torch.zeros(()))
    loss.load_state_dict(state, strict=False)
    ensemble = loss.ensemble(branches, x["gate_features"])
    total = loss.compare(branches, ensemble, x["labels"], case.settings["weight"])
    return Computed(total, {"ensemble": ensemble}, loss)


def pskd(case: Case, x: Inputs, state: Inputs) -> Computed:
    rows = torch.arange(len(x["labels"]))
    batch = (x["student"], x["labels"], torch.ones((), dtype=x["student"].dtype), rows)
    loss = PSKD(case.settings["alpha"], samples=len(rows))
    loss.build(*(value.detach() for value in batch))
    loss.memory.copy_(x["previous"])
    return Computed(loss(*batch))


def cskd(case: Case, x: Inputs, state: Inputs) -> Computed:
    ce, kd = F.cross_entropy(x["student"], x["labels"]), KD(case.settings["T"])
    return Computed(ce + case.settings["lambda"] * kd(x["student"], x["pair"]))


def dlb(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = DLB(case.settings["alpha"], case.settings["T"])
    if len(x["current"]) == len(x["earlier"]):  # else the step before had another number of images
        loss((x["earlier"], x["earlier"]), x["previous_labels"], x["previous_labels"])
        return Computed(loss((x["current"], x["previous_now"]), x["labels"], x["previous_labels"]))
    names = ("current", "previous_now", "labels", "previous_labels", "earlier")
    return Computed(loss.compare(*(x[name] for name in names)))


def byot(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = BYOT(case.settings["alpha"], case.settings["T"], case.settings["beta"])
    sides, own = numbered(x, "side"), numbered(x, "feature")
    outputs = {"soft": loss.soft(x["final"], sides), "features": feature_distance(own, x["feature_final"])}
    return Computed(loss.compare(x["final"], sides, own, x["feature_final"], x["labels"]), outputs)


def sskd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = SSKD(
        tuple(settings["weights"]),
        settings["T_kd"],
        settings["T_ss"],
        settings["ratio_tf"],
        settings["ratio_ss"],
        settings["T_tf"],
    )
    kept = {
        "selected_tf": loss.kept_classes(x["logits_t"], x["labels"]).nonzero().flatten(),
        "selected_ss": loss.kept_similarities(x["ss_t"]).nonzero().flatten(),
    }
    student, teacher = ((x[f"logits_{name}"], x[f"ss_{name}"]) for name in ("s", "t"))
    return Computed(loss.compare(student, teacher, x["labels"]), kept)


def hsakd(case: Case, x: Inputs, state: Inputs) -> Computed:
    student, teacher = ((*numbered(x, f"aux_{name}"), x[f"logits_{name}"]) for name in ("s", "t"))
    return Computed(HSAKD(case.settings["T"]).compare(student, teacher, x["labels"]))


def compared(case: Case, found: Inputs, prefix: str = "out") -> None:
    """Every recorded tensor under a prefix, beside what was found."""
    tolerance = case["tolerance"]
    for name, value in case.record(prefix).items():
        torch.testing.assert_close(found[name].detach(), value, **tolerance, msg=lambda m, name=name: f"{name}: {m}")


def pskd_memory(case: Case) -> None:
    x, settings = case.record("in"), case.settings
    loss, found = PSKD(settings["alpha_T"], samples=settings["n_data"]), {}
    for step in range(1, len(x) // 3 + 1):
        student, labels, index = (x[f"step{step}/{name}"] for name in ("student", "labels", "index"))
        epoch = (step - 1) // settings["steps_per_epoch"]
        progress = torch.tensor((epoch + 1) / settings["epochs"])
        if step == 1:
            loss.build(student, labels, progress, index)
        found[f"step{step}/target"] = loss.targets(labels, progress, index)
        value = loss(student.requires_grad_(), labels, progress, index)
        value.backward()
        found |= {
            f"step{step}/loss": value,
            f"step{step}/grad": student.grad,
            f"step{step}/memory": loss.memory.clone(),
        }
    compared(case, found)


def byot_branch(case: Case) -> None:
    settings = case.settings
    branch = make_branch(settings["in"], settings["out"], settings["kernel"])
    kept = branch.load_state_dict(case.record("state"), strict=False)
    assert all("num_batches" in name for name in kept.missing_keys)
    assert not kept.unexpected_keys
    compared(case, {"feature": branch(case.record("in")["map"]).mean(dim=(2, 3))})


def dot(case: Case) -> None:
    settings, gradients, found = case.settings, case.record("in"), {}
    weights = {name: nn.Parameter(value) for name, value in case.record("state").items()}
    optimizer = DOT(
        weights.values(),
        lr=settings["lr_per_step"][0],
        **{name: settings[name] for name in ("momentum", "delta", "weight_decay")},
    )
    for step, rate in enumerate(settings["lr_per_step"], start=1):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        for name, weight in weights.items():
            weight.grad = gradients.get(f"step{step}/task/{name}")
            if (distilled := gradients.get(f"step{step}/kd/{name}")) is not None:
                optimizer.distilled[weight] = distilled
        optimizer.step()
        found |= {f"step{step}/{name}": weight.detach().clone() for name, weight in weights.items()}
    for name, weight in weights.items():
        found |= {f"final/buffer_{kind}/{name}": buffer for kind, buffer in optimizer.state[weight].items()}
    compared(case, found)


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "byot": byot,
    "cskd": cskd,
    "dlb": dlb,
    "hsakd": hsakd,
    "one": one,
    "pskd": pskd,
    "sskd": sskd,
}
RECORDS: dict[str, Callable[[Case], None]] = {"byot_branch": byot_branch, "dot": dot, "pskd_memory": pskd_memory}
