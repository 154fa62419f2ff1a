"""Newer relations, and conventions of known ones: each case is computed from its settings, never by its name."""

from collections.abc import Callable

import torch

from oracle.case import Case
from oracle.computed import Computed, Inputs
from oracle.relation_cases import numbered
from oracle.renamed import renamed
from potstill.losses import AFM, CKA, EGA, ITRD, ND, Manifold


def afd_matching(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    student, teacher = tuple(numbered(x, "s")), tuple(numbered(x, "t"))
    loss = AFM(settings["qk_dim"])
    loss.build(tuple(maps.detach() for maps in student), teacher)
    loss.load_state_dict(state, strict=False)
    loss.train(settings["bn_mode"] == "train")
    return Computed(settings["weight"] * loss(student, teacher), module=loss)


def itrd(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = ITRD(settings["lambda_corr"], settings["lambda_mutual"], settings["alpha"])
    loss.build(x["feat_s"].detach(), x["feat_t"])
    embedding = renamed({"embed.linear": loss.embed})
    embedding.load_state_dict(state)
    return Computed(loss(x["feat_s"], x["feat_t"]), module=embedding)


def manifold(case: Case, x: Inputs, state: Inputs) -> Computed:
    settings = case.settings
    loss = Manifold(settings["w_sample"], settings["w_patch"], settings["w_rand"], settings["K"])
    blocks = zip(numbered(x, "s"), numbered(x, "t"), numbered(x, "permutation"), strict=True)
    return Computed(torch.stack([loss(s, t, order) for s, t, order in blocks]).mean())


def cka(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(CKA(**case.settings)(x["feat_s"], x["feat_t"]))


def ega(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(EGA(**case.settings)(x["feat_s"], x["feat_t"]))


def nd(case: Case, x: Inputs, state: Inputs) -> Computed:
    return Computed(case.settings["weight"] * ND(x["centers"])(x["feat_s"], x["feat_t"], x["labels"]))


LOSSES: dict[str, Callable[[Case, Inputs, Inputs], Computed]] = {
    "afd_matching": afd_matching,
    "cka": cka,
    "ega": ega,
    "itrd": itrd,
    "manifold": manifold,
    "nd": nd,
}
RECORDS: dict[str, Callable[[Case], None]] = {}
