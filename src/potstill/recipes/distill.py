"""Training a student with the help of a teacher: any loss or several, any two networks."""

from pathlib import Path

import potstill as ps
from potstill import term_strings
from potstill.recipes.further_images import with_further_images
from potstill.recipes.learner import create_learner, learn_with_every_head
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.teacher import Teachers
from potstill.training import Training


@recipe
def distill(
    *,
    student: str,
    teacher: Teachers,
    student_weights: Path | None = None,
    terms: tuple[str, ...] = ("0.1 * CE", "0.9 * KD(temperature=4)"),
    training: Training = Training(),
) -> Summary:
    """Train a student with the help of a frozen teacher, by one loss or several.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        terms: what to minimise, one string a term: "weight * Loss(arguments) on taps". "1000 * AT on stages" is
            one a stage, "FitNet on layer3=blocks.8" pairs a student's tap with a teacher's, "file.py:Loss" is your own.
            "0.5 * CE on student#0" and "0.5 * KD(hard=True) on student#1" are of two heads, as distilled ViTs have.
    """
    data = training.load_data()
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    if any("student#" in term for term in terms):
        learn_with_every_head(networks["student"])
    parsed, classifiers = term_strings.terms(terms, networks, data.example()), [*networks]
    networks, data = with_further_images(parsed, networks, data, training)
    distiller = ps.Distiller(networks, parsed, data.example(), seed=training.seed, classifiers=classifiers)
    return ps.fit(distiller, data, training)
