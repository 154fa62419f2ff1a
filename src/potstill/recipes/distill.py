"""Training a student with the help of a teacher: any loss or several, any two networks."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill import term_strings
from potstill.recipes.further_images import with_further_images
from potstill.recipes.learner import create_learner, learn_with_every_head
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.say import say
from potstill.teacher import Teachers
from potstill.training import Training

if TYPE_CHECKING:
    from potstill.data import Data

TERMS = ("0.1 * CE", "0.9 * KD(temperature=4)")
OF_SEVERAL = ("0.1 * BCE", "0.9 * SigmoidKD")


@recipe
def distill(
    *,
    student: str,
    teacher: Teachers,
    student_weights: Path | None = None,
    terms: tuple[str, ...] = TERMS,
    training: Training = Training(),
) -> Summary:
    """Train a student with the help of a frozen teacher, by one loss or several.

    Args:
        student: the network to train, for example resnet20.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        terms: what to minimise, one string a term: "weight * Loss(arguments) on taps". "1000 * AT on stages" is
            one a stage, "FitNet on layer3=blocks.8" pairs a student's tap with a teacher's, "file.py:Loss" is your own.
            "0.5 * CE on student#0" and "0.5 * KD(hard=True) on student#1" are of two heads, as distilled ViTs have.
            By default, KD alone of images without labels, and BCE and SigmoidKD where an image may have several.
    """
    data = teacher.naming(training.load_data())
    if terms == TERMS:
        terms = usual_terms(data)
    networks = {
        "student": create_learner(student, data, training, weights=student_weights),
        **teacher.create(data),
    }
    if any("student#" in term for term in terms):
        learn_with_every_head(networks["student"])
    parsed, classifiers = term_strings.terms(terms, networks, data.example()), [*networks]
    networks, data = with_further_images(parsed, networks, data, training)
    distiller = ps.Distiller(networks, parsed, data.example(), seed=training.seed, classifiers=classifiers)
    return ps.fit(distiller, data, training, {"terms": terms})


def usual_terms(data: "Data") -> tuple[str, ...]:
    """What is minimised by default: what the images' labels allow; said where that is something else."""
    terms: tuple[str, ...] = OF_SEVERAL if data.several else TERMS
    terms = terms[1:] if data.unlabelled else terms
    if terms != TERMS:
        why = "have no labels" if data.unlabelled else "may have several labels"
        say(f"these images {why}: --terms {' '.join(map(repr, terms))}")
    return terms
