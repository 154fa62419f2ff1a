"""Rocket Launching: a light net and its booster, trained together."""

from typing import TYPE_CHECKING, Literal

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import NotNegative, Temperature
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import OptionalTeacher
from potstill.term_strings import parse_terms
from potstill.training import Training

if TYPE_CHECKING:
    from torch import Tensor, nn


@recipe
def rocket(
    *,
    light: str = "wrn-16-1",
    booster: str = "wrn-40-1",
    share: Literal["interval", "bottom", "none"] = "interval",
    gradient_block: bool = True,
    gamma: NotNegative = 0.03,
    hint: str = "Logits(reduction='batchmean')",
    teacher: OptionalTeacher = OptionalTeacher(),
    alpha: NotNegative = 0.9,
    temperature: Temperature = 4.0,
    training: Training = Training(optimizer="sgd", border="reflect"),
) -> Summary:
    """Launch a light net with a booster: both learn from the labels, share weights, and the light net follows.

    Zhou et al., "Rocket launching", AAAI 2018, eq. 2: https://arxiv.org/abs/1708.04106. Each network alone is saved
    as a plain one: light.safetensors, booster.safetensors.

    Args:
        light: the small network, which is wanted.
        booster: the large one, thrown away in the end.
        share: interval: the light net's convolutions are the booster's of the same place; bottom: the lowest ones are,
            as long as the two are alike (light nets such as wrn-40-1-bottom2 are the booster's bottom); none.
        gradient_block: keep the hint's gradient from the booster; without, it reaches both.
        gamma: weight of the hint.
        hint: what the light net learns from the booster, a string as in distill with the light net as student: by
            default the squared difference of the logits, summed over classes, mean over the batch; "AT on stages".
        alpha: weight of the teacher's KD: 2 alpha T^2 times the mean over batch and classes.
        temperature: its temperature T.
    """
    data = training.load_data()
    networks = {
        name: create_learner(spec, data, training, name=name)
        for name, spec in {"light": light, "booster": booster}.items()
    }
    if share != "none":
        ps.networks.share(networks["light"], networks["booster"], share)
    terms = [
        ps.Term(ps.losses.CE(), "light", "labels"),
        ps.Term(ps.losses.CE(), "booster", "labels"),
        *hint_terms(hint, networks, gamma, gradient_block, data.example()["images"][:2]),
    ]
    networks |= teacher.create(data)
    if "teacher" in networks:
        kd = ps.losses.KD(temperature, reduction="elementmean")
        terms.append(ps.Term(kd, "light", "teacher", weight=2 * alpha))
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)


def hint_terms(
    hint: str,
    networks: "dict[str, nn.Module]",
    gamma: float,
    gradient_block: bool,
    images: "Tensor | None" = None,
) -> "list[ps.Term]":
    """The terms of ``hint`` between light net and booster, of weight ``gamma`` each; ``images`` as in `parse_terms`.

    Raises:
        BadInput: it has a weight of its own, or cannot do without the gradient block.
    """
    pair = {"student": networks["light"], "teacher": networks["booster"]}
    parsed = parse_terms([hint], pair, {"student": "light", "teacher": "booster"}, images, both=not gradient_block)
    if any(term.weight != 1.0 for term in parsed):
        raise BadInput(f"--hint {hint!r} has a weight; the hint's weight is --gamma")
    if not gradient_block and any(term.needs_graph for term in parsed):
        raise BadInput(f"--hint {hint!r} always blocks the booster's gradient; leave out --no-gradient-block")
    return [term.scaled(gamma, "hint" if len(parsed) == 1 else f"hint {term.name}") for term in parsed]
