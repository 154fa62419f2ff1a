"""A chain of networks, each the teacher of the next: teacher assistants, and generations of one network."""

from dataclasses import replace

import potstill as ps
from potstill import term_strings
from potstill.errors import BadInput
from potstill.recipes.further_images import with_further_images
from potstill.recipes.learner import create_learner
from potstill.recipes.mutual import SEEDS_APART
from potstill.runs.arguments import default_folder
from potstill.runs.recording import current_record, recipe
from potstill.runs.schema import Summary
from potstill.teacher import FirstTeacher
from potstill.training import Training


@recipe
def chain(
    *,
    networks: tuple[str, ...],
    teacher: FirstTeacher = FirstTeacher(),
    terms: tuple[str, ...] = ("0.1 * CE", "0.9 * KD(temperature=4)"),
    training: Training = Training(),
) -> Summary:
    """Train networks one after the other, each with the help of the one before: a teacher, its assistants, a student.

    Mirzadeh et al., "Improved knowledge distillation via teacher assistant", AAAI 2020:
    https://arxiv.org/abs/1902.03393. With a network once more, it is its own teacher: Furlanello et al., "Born-again
    neural networks", ICML 2018: https://arxiv.org/abs/1805.04770, and the self-training of Yuan et al., "Revisiting
    knowledge distillation via label smoothing regularization", CVPR 2020: https://arxiv.org/abs/1909.11723. All train
    alike; those before the last lie in the folders "link1", "link2", ... of the run's.

    Args:
        networks: what to train, in this order; the last one is the student. All start from different weights.
        terms: what each minimises, strings as in distill.
    """
    if not networks:
        raise BadInput("--networks needs a network or more, of which the last one is the student")
    data = training.load_data()
    folder = training.out or default_folder(current_record(), training)
    before = teacher.create(data)
    for place, spec in enumerate(networks, start=1):
        seed = training.seed + SEEDS_APART * (len(networks) - place)
        pair = {"student": create_learner(spec, data, training, seed=seed), **before}
        strings, classifiers = terms if before else ("CE",), [*pair]
        parsed = term_strings.terms(strings, pair, data.example())
        pair, given = with_further_images(parsed, pair, data, training)
        distiller = ps.Distiller(pair, parsed, given.example(), seed=training.seed, classifiers=classifiers)
        link = f"link{place}"
        where, stage = (folder, {}) if place == len(networks) else (folder / link, {"stage": link})
        summary = ps.fit(distiller, given, replace(training, out=where), stage)
        distiller.close()
        before = {"teacher": ps.freeze(pair["student"])}
    return summary
