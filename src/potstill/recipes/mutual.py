"""Deep mutual learning: peers that learn from the labels and from each other."""

from string import ascii_lowercase

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import NotNegative, Temperature
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.training import Training

SEEDS_APART = 1000  # between peers, so that no two start alike


@recipe
def mutual(
    *,
    networks: tuple[str, ...],
    alternate: bool = False,
    weight: NotNegative = 1.0,
    temperature: Temperature = 1.0,
    training: Training = Training(),
) -> Summary:
    """Train two or more networks together, each from the labels and from what the others say.

        L_i = CE(z_i, y) + weight / (n - 1) * sum over j != i of KL(p_j || p_i)

    Zhang, Xiang, Hospedales and Lu, "Deep mutual learning", CVPR 2018, eq. 5 and 8: https://arxiv.org/abs/1706.00384.
    The networks are called a, b, c, ... and start from different weights; each is saved alone. Peers are fixed: a
    network's loss never moves another.

    Args:
        networks: two networks or more, for example resnet20 resnet20.
        alternate: as in the paper, a network learns after those before it have taken their step; by default, as in the
            Knowledge-Distillation-Zoo, all learn at once from one forward pass.
        weight: of the peers' part.
        temperature: of its probabilities; neither the paper nor the Zoo has one.
    """
    if not 2 <= len(networks) <= len(ascii_lowercase):
        raise BadInput(f"--networks needs two networks or more to learn from each other, not {len(networks)}")
    data = training.load_data()
    peers = {
        name: create_learner(spec, data, training, name=name, seed=training.seed + SEEDS_APART * i)
        for i, (name, spec) in enumerate(zip(ascii_lowercase, networks, strict=False))
    }
    terms = []
    for name in peers:
        terms.append(ps.Term(ps.losses.CE(), name, "labels"))
        for other in peers:
            if other != name:
                kd, share = ps.losses.KD(temperature), weight / (len(peers) - 1)
                terms.append(ps.Term(kd, name, other, weight=share, name=f"KD {name} from {other}"))
    distiller = ps.Distiller(
        peers, terms, example=data.example(), seed=training.seed, classifiers=[*peers], alternate=alternate
    )
    return ps.fit(distiller, data, training)
