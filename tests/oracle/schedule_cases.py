"""The recorded schedules, each as a function of potstill's epoch, which counts from 0 (element e of a vector)."""

import re

import torch

from oracle.case import Case
from potstill.losses import CTKD
from potstill.schedules import Schedule, from_epoch, late_cosine, linear, milestones, ramp, steps, warmup

RATES = {
    "kdzoo.main": milestones(0.1, at=[100, 150], factor=0.1),
    "kdzoo.init_stage_fsp_ab": milestones(0.01, at=[30, 40], factor=0.1),
    "moonshine.intended": milestones(0.1, at=[60, 120, 160], factor=0.2),
    "cd.cifar": milestones(0.1, at=[60, 120, 160], factor=0.2),
    "cd.imagenet": milestones(0.1, at=[30, 60, 90], factor=0.1),
    # One epoch early: Rocket counts epochs from 1, Moonshine steps its scheduler before the epoch (QUIRKS 4.6, 5.10).
    "moonshine.modern_torch_step_first": milestones(0.1, at=[59, 119, 159], factor=0.2),
    "rocket_interval.reference": milestones(0.1, at=[59, 119, 159], factor=0.2),
    "rocket_bottom.reference": milestones(0.1, at=[69, 129, 189], factor=0.2),
}


def learning_rates(name: str) -> Schedule:
    """The learning rates and weights of the trainers."""
    if found := re.fullmatch(r"bss\.lambda_weight\(lambda_kd=(\S+),epochs=(\d+)\)", name):
        return from_epoch(linear(float(found[1]), epochs=int(found[2]) * 4 // 5), 10)
    if found := re.fullmatch(r"dkd\.warmup(\d+)", name):
        return warmup(1.0, epochs=int(found[1]))
    return RATES[name] if name in RATES else logit_methods(name)


def logit_methods(name: str) -> Schedule:
    """Of the newer methods that compare answers: weights by their epochs, and how far CTKD reverses a gradient."""
    if found := re.fullmatch(r"ctkd\.lambda\.(cosine|linear)\(max=0,min=-1,loops=(\d+)\)", name):
        loss = CTKD(epochs=int(found[2]), curriculum=found[1])
        return lambda epoch: -float(loss.reversal(torch.tensor(float(epoch), dtype=torch.float64)))
    numbers = [float(number) for number in re.findall(r"=([\d.]+)", name)]
    kind = name.partition("(")[0]
    if kind == "one.weight":
        return ramp(1.0, int(numbers[0]))
    if kind == "pskd.alpha":
        return warmup(numbers[0], int(numbers[1]))
    if kind == "wkd.factor":
        return late_cosine(1.0, int(numbers[0]), int(numbers[1]))
    if kind == "byot.lr":
        return milestones(0.1, at=[75, 130, 180], factor=0.1)
    assert kind == "takd.lr.resnet", name
    return milestones(0.01, at=[int(numbers[0]) * 3 // 4], factor=0.1)


def early_decay(name: str) -> Schedule:
    """Channel Distillation's weights, with the original's off-by-ones (QUIRKS 3.7).

    Weights decay one epoch before the term of cross-entropy or KD starts; on CIFAR, lrdv1 does not decay at all.
    """
    found = re.fullmatch(r"(cifar|imagenet)\.(lrdv1|lrdv2)\.(\w+)_family\.alpha([\d.]+)\.factor([\d.]+)", name)
    assert found, name
    data, decay, family = found.group(1, 2, 3)
    start, at = {"cifar": (60, [59, 159]), "imagenet": (30, [29, 59, 89])}[data]
    weight = milestones(float(found[4]), at=[] if (data, decay) == ("cifar", "lrdv1") else at, factor=float(found[5]))
    # The original looks for "ce" and "kd" in the name, which finds "kdv2" too.
    return from_epoch(weight, start) if decay == "lrdv2" and re.search("ce|kd", family) else weight


def features(case: Case) -> dict[str, Schedule]:
    """The weights of newer methods that compare features; NORM's epoch 240 is one that its authors train, too."""
    known = {
        "norm.cifar100": steps([0.1, 0.5, 1.0, 0.5, 0.1], at=[10, 20, 180, 210]),
        "norm.imagenet": steps([0.1, 0.5, 0.9, 0.5, 0.1], at=[5, 15, 60, 80]),
        "fcfd.appearance": warmup(1.0, epochs=20),
        "nd.kd_warmup20": warmup(1.0, epochs=20, from_zero=True),
    }
    return {name: known[name] for name in case["tensors"]}


def schedules(case: Case) -> dict[str, Schedule]:
    """Of every recorded vector, the schedule that should give it."""
    make = {"edt": early_decay, "schedules": learning_rates}[case["method"]]
    return {name: make(name) for name in case["tensors"]}


SCHEDULES = {"edt": schedules, "schedules": schedules, "schedules_features": features}
