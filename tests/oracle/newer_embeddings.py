"""Losses of features without labels: each case is computed from its settings, never by its name."""

from collections.abc import Callable

from oracle.case import Case
from oracle.computed import Computed, Inputs
from potstill.losses.cosine_smooth_l1 import CosineSmoothL1
from potstill.losses.patch_mse import PatchMSE
from potstill.losses.queue_kl import QueueKL
from potstill.losses.queue_patch_kl import QueuePatchKL


def cosine_smooth_l1(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = CosineSmoothL1(case.settings["lam_cos"], case.settings["lam_sl1"])
    kinds = [loss(x[f"{kind}_s"], x[f"{kind}_t"]) for kind in ("tokens", "feat") if f"{kind}_s" in x]
    return Computed(sum(kinds) / len(kinds))


def patch_mse(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = PatchMSE(case.settings["layers"], case.settings.get("hidden"))
    loss.build(x["fm_s"].detach(), x["fm_t"])
    loss.load_state_dict(state)
    return Computed(loss(x["fm_s"], x["fm_t"]), module=loss)


def queue_kl(case: Case, x: Inputs, state: Inputs) -> Computed:
    loss = QueueKL(case.settings["queue"], case.settings["T"])
    loss.build(x["feat_s"].detach(), x["feat_t"])
    loss.load_state_dict(state)
    return Computed(loss(x["feat_s"], x["feat_t"]), module=loss)


def queue_patch_kl(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = QueuePatchKL(settings["weight"], settings["queue"], settings["T_global"], settings["T_local"])
    teacher = (x["feat_t"], x["fm_t"])
    loss.build((x["feat_s"].detach(), x["fm_s"].detach()), teacher)
    loss.load_state_dict(state)
    _, patches = loss.aligned((x["feat_s"], x["fm_s"]), teacher)
    outputs = {"local": loss.of_patches(*patches)}
    total = loss((x["feat_s"], x["fm_s"]), teacher)
    return Computed(total, {**outputs, "global": total - settings["weight"] * outputs["local"]}, loss)


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "cosine_smooth_l1": cosine_smooth_l1,
    "patch_mse": patch_mse,
    "queue_kl": queue_kl,
    "queue_patch_kl": queue_patch_kl,
}
RECORDS: dict[str, Callable[[Case], None]] = {}
