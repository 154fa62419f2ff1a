"""ONE: a network with further branches, which teach it as an ensemble."""

import potstill as ps
from potstill.ranges import Count, Temperature
from potstill.recipes.factor_transfer import last_stage
from potstill.recipes.learner import create_learner
from potstill.recipes.mutual import SEEDS_APART
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.training import Training


@recipe
def native_ensemble(
    *,
    network: str,
    branches: Count = 3,
    temperature: Temperature = 3.0,
    ramp: Count = 80,
    training: Training = Training(),
) -> Summary:
    """Train a network whose last stage and classifier it has several times, each taught by the gated ensemble of all.

    Lan, Zhu and Gong, "Knowledge distillation by on-the-fly native ensemble", NeurIPS 2018:
    https://arxiv.org/abs/1806.04606. The network is the first of the branches, a plain one, and what is wanted in the
    end; the others are saved beside it as branch2, branch3, ..., and see what its stages before the last give.

    Args:
        network: what to train, for example resnet20: it must name its stages.
        branches: how many there are, the network's own included.
        temperature: of what the ensemble teaches.
        ramp: the epoch from which on that has its whole weight, counted from 0.
    """
    from potstill.networks.graft import upper_part

    data = training.load_data()
    networks = {"student": create_learner(network, data, training, name=network)}
    stages = int(last_stage(networks, "student").removeprefix("stage"))
    trunk = f"stage{stages - 1}"
    for place in range(1, branches):
        copy = ps.networks.create(network, len(data.classes), seed=training.seed + SEEDS_APART * place)
        networks[f"branch{place + 1}"] = upper_part(copy, trunk)
    term = ps.Term(ps.losses.ONE(temperature, ramp), (*networks, f"student.{trunk}"), "labels", "epoch")
    inputs = {name: f"student.{trunk}" for name in networks if name != "student"}
    distiller = ps.Distiller(
        networks, [term], data.example(), seed=training.seed, inputs=inputs, classifiers=["student"]
    )
    return ps.fit(distiller, data, training)
