"""Deep mutual learning: peers that learn from the labels and from each other."""

from string import ascii_lowercase

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import NotNegative, Temperature
from potstill.recipes.further_images import with_further_images
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.term_strings.peers import terms_among
from potstill.training import Training

SEEDS_APART = 1000  # between peers, so that no two start alike


@recipe
def mutual(
    *,
    networks: tuple[str, ...],
    alternate: bool = False,
    weight: NotNegative = 1.0,
    temperature: Temperature = 1.0,
    terms: tuple[str, ...] = (),
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
        terms: what each minimises instead, strings as in distill: CE KDCL, for example. Each network in turn is the
            student and every other one its teacher, with its share of the weight; KDCL takes all others at once.
    """
    if not 2 <= len(networks) <= len(ascii_lowercase):
        raise BadInput(f"--networks needs two networks or more to learn from each other, not {len(networks)}")
    if terms and (weight, temperature) != (1.0, 1.0):
        raise BadInput("--weight and --temperature are of the usual terms; with --terms, write them there: 0.5 * KD(4)")
    data = training.load_data()
    peers = {
        name: create_learner(spec, data, training, name=name, seed=training.seed + SEEDS_APART * i)
        for i, (name, spec) in enumerate(zip(ascii_lowercase, networks, strict=False))
    }
    usual = ("CE", f"{weight!r} * KD(temperature={temperature!r})")
    parsed = terms_among(terms or usual, peers, data.example())
    learners = [*peers]
    peers, data = with_further_images(parsed, peers, data, training)
    distiller = ps.Distiller(
        peers, parsed, example=data.example(), seed=training.seed, classifiers=learners, alternate=alternate
    )
    return ps.fit(distiller, data, training)
