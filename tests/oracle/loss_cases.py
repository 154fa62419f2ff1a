"""How each recorded loss case is computed with potstill: driven by the case's settings, never by its name.

Each function takes the case, its inputs by name, and its state, and returns the total; a loss with learned parts comes
with them loaded.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from oracle.case import Case
from oracle.computed import Computed, Inputs
from potstill.losses import AT, KD, FitNet, Logits


def logits(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(Logits()(x["student"], x["teacher"]))


def soft_target(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    by_element = "alpha" in settings and settings.get("reduction") != "batchmean"
    kd = KD(settings["T"], reduction="elementmean" if by_element else "batchmean")
    total = settings.get("alpha", 1.0) * (2 if by_element else 1) * kd(x["student"], x["teacher"])
    if "labels" in x:
        total = total + (1 - settings["alpha"]) * F.cross_entropy(x["student"], x["labels"])
    return Computed(total)


def gkd(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(KD(case.settings["T"], guided=True)(x["student"], x["teacher"], x["labels"]))


def dml(case: Case, x: Inputs, state: Inputs) -> Computed:
    if "labels" not in x:
        return Computed(KD(temperature=1)(x["out1"], x["out2"]))
    # Which of the two learns is in no setting, only in which of them gets a gradient.
    norms = {name: case["grads"][name]["norm"] for name in ("out1", "out2")}
    learner, peer = sorted(norms, key=lambda name: -norms[name])
    ce = F.cross_entropy(x[learner], x["labels"])
    return Computed(ce + case.settings["lambda_kd"] * KD(temperature=1)(x[learner], x[peer].detach()))


def fitnet(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    # A 3x3 convolution that keeps the size of the student's map leaves the teacher's to be pooled.
    same_size = (settings.get("kernel"), settings.get("stride"), settings.get("padding")) == ([3, 3], [1, 1], [1, 1])
    loss = FitNet(relu=settings.get("relu", True), pool="teacher" if same_size else "student")
    loss.build(x["fm_s"].detach(), x["fm_t"])
    loss.load_state_dict(state, strict=False)
    loss.train("eval" not in settings.get("batch_norm", "train"))
    outputs: dict[str, Tensor] = {}
    loss.regressor.register_forward_hook(lambda _, args, output: outputs.update(regressed=output))
    return Computed(loss(x["fm_s"], x["fm_t"]), outputs, loss)


def at(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    zoo = settings.get("eps") == 1e-6 or "lambda_kd" in settings
    how = {"channels": "sum", "eps": 1e-6, "eps_placement": "add"} if zoo else {}
    loss = AT(settings.get("p", 2), **how)
    if "fm_s" in x:
        return Computed(loss(x["fm_s"], x["fm_t"]))
    stages = [loss(x[f"s{i}"], x[f"t{i}"]) for i in (1, 2, 3)]
    return Computed(sum(stages) / 3 * settings["lambda_kd"] if zoo else sum(stages) * settings["beta"])


def rocket(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    booster = x["booster"] if settings.get("grad_block") is False else x["booster"].detach()
    total = F.cross_entropy(x["booster"], x["labels"]) + F.cross_entropy(x["light"], x["labels"])
    total = total + settings["gamma"] * Logits(reduction="batchmean")(x["light"], booster)
    if "pretrained" in x:
        kd = KD(settings["T"], reduction="elementmean")
        total = total + 2 * settings["alpha"] * kd(x["light"], x["pretrained"])
    return Computed(total)


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "at": at,
    "dml": dml,
    "fitnet": fitnet,
    "gkd": gkd,
    "logits": logits,
    "rocket": rocket,
    "soft_target": soft_target,
}
