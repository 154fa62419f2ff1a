"""Training a backbone to have the features of others."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import potstill as ps
from potstill.feature_teachers import FeatureTeachers
from potstill.ranges import Count, ProjectorLayers, Share, Side, Width
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.say import say
from potstill.selection import Selection
from potstill.training import Training

if TYPE_CHECKING:
    from potstill.data import Data
    from potstill.data.data import Batches
    from potstill.embedding.labelled import Labelled


@recipe
def embed(
    *,
    student: str,
    teachers: FeatureTeachers,
    student_weights: Path | None = None,
    match: Literal["pooled", "patches", "both"] = "pooled",
    loss: Literal["cosine-smooth-l1", "mse", "queue"] = "cosine-smooth-l1",
    projector_layers: ProjectorLayers = 1,
    projector_width: Width | None = None,
    mask: Share | None = None,
    mask_grid: Side = 8,
    probe: str | None = None,
    bank: Count = 10_000,
    training: Training = Training(optimizer="adamw", lr=1e-3, weight_decay=0.05, schedule="cosine"),
) -> Summary:
    """Train a backbone to have the features of one backbone or several, without labels.

    Each teacher sees images of its own size and normalisation, and has a projector that maps the student's features to
    its own; where both are matched, patches count as much as pooled features, and teachers count alike. The student is
    a network without its classifier, and supervised trains one on its weights. Its features are measured by how well
    classes can be told by them, if there are labels, as are the teachers' own and those it begins with, and by how far
    they agree with the teachers' on test images.

    Args:
        student: the network to train, for example resnet20; what makes its classes is left out.
        student_weights: weights to start the student from: a file, a run folder or pretrained; fresh ones by default.
        match: the teachers' features of an image, of its patches, or both; maps of patches are resized bilinearly.
        loss: cosine-smooth-l1: direction and value; mse: value; queue: how like images are to 8192 of the past.
        projector_layers: 1: linear; more: an MLP.
        projector_width: width between its layers; by default the teacher's.
        mask: share of each image that the student does not see, and the teachers do; nothing by default.
        mask_grid: cells on a side of an image that are left out as a whole.
        probe: another data set to tell the classes of; by default the data's own, if they have labels.
        bank: training images of it, at most, that its test images are compared with, after every epoch.
    """
    from potstill.device import find_device
    from potstill.embedding.bonds import bonds
    from potstill.embedding.masking import ENTRY, Masking
    from potstill.embedding.quality import Quality
    from potstill.taps import unwrapped

    data = with_test_images(training.load_data(), bank)
    networks = {
        "student": create_learner(student, data, training, weights=student_weights, classes=0),
        **teachers.create(data),
    }
    example = data.example()
    taught = bonds(networks, example["images"][:2], match, loss, projector_layers, projector_width)
    masking = [] if mask is None else [Masking(mask, mask_grid)]
    for transform in masking:
        example = transform(example)
    terms = [bond.term(1 / len(taught), ENTRY if masking else None) for bond in taught]
    distiller = ps.Distiller(networks, terms, example=example, seed=training.seed, classifiers=[])
    known, test = bank_of(data, training, probe, bank)
    begin = deepcopy(unwrapped(distiller.networks["student"])).to(find_device(training.device))
    with Quality(begin, distiller.teachers, taught, known, test) as quality:
        return ps.fit(distiller, data, training, transforms=masking, measure=quality)


def with_test_images(data: "Data", count: int) -> "Data":
    """The data; where nothing is there to measure on, some of the training images are measured, which is said."""
    if data.test is not None or data.holdout is not None:
        return data
    train: Any = data.train
    say(f"{data.name} has no test images: agreement is measured on {count} training images; --holdout N keeps N back")
    return replace(data, test=train.plain(train.rows[:count]))


def bank_of(
    data: "Data", training: Training, probe: str | None, count: int
) -> "tuple[Labelled | None, Batches | None]":
    """The images with known labels, and the test images of the same set where that is not the data's own."""
    from potstill.device import find_device
    from potstill.embedding.labelled import labelled_set

    if probe is None:
        return labelled_set(data, count), None
    assert data.statistics is not None, "data.load knows how images are normalised"
    numbers = " ".join(repr(value) for values in data.statistics for value in values)
    own = Selection(probe, normalize=numbers, workers=training.workers, cache=training.cache)
    if ps.data.in_files(probe):
        own = replace(own, image_size=training.image_size)
    else:
        own = replace(own, data_dir=training.data_dir)
    other = ps.data.load(own, device=find_device(training.device), batch_size=training.batch_size)
    return labelled_set(other, count), other.test
