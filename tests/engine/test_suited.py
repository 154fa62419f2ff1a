"""How far a network agrees with a teacher, where nothing else can be measured."""

import pytest
import torch
from torch import nn

import potstill as ps
from potstill.engine.average_precision import mean_average_precision
from potstill.engine.evaluate import evaluate
from potstill.engine.suited import WithTeacher, suited
from potstill.errors import BadInput
from potstill.losses import KD

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(11, 4, 1, 1, generator=GENERATOR)


class Linear(nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)))

    def forward(self, images):
        return images.flatten(1) @ self.weight


STUDENT, TEACHER = Linear(1), Linear(2)
BATCHES = [{"images": part} for part in IMAGES.split(4)]


def test_of_one_class_an_image():
    one, other = (network(IMAGES).double().detach() for network in (STUDENT, TEACHER))
    found = WithTeacher(TEACHER)(STUDENT, BATCHES)
    assert found["agreement"] == pytest.approx(100 * (one.argmax(1) == other.argmax(1)).double().mean().item())
    assert found["kl"] == pytest.approx(KD(temperature=1)(one, other).item(), rel=1e-5)
    assert list(found) == ["agreement", "kl", "n"]
    assert found["n"] == 11


def test_of_several_classes_an_image():
    one, other = (network(IMAGES).double().detach() for network in (STUDENT, TEACHER))
    found = WithTeacher(TEACHER, several=True)(STUDENT, BATCHES)
    assert found["agreement"] == pytest.approx(100 * ((one > 0) == (other > 0)).double().mean().item())
    s, t = one.sigmoid(), other.sigmoid()
    expected = (t * (t / s).log() + (1 - t) * ((1 - t) / (1 - s)).log()).mean().item()
    assert found["kl"] == pytest.approx(expected, rel=1e-5)


def test_with_itself_it_agrees_and_without_images_nothing_is_known():
    assert WithTeacher(STUDENT)(STUDENT, BATCHES) == {"agreement": 100, "kl": pytest.approx(0, abs=1e-6), "n": 11}
    with pytest.raises(BadInput, match="no batch"):
        WithTeacher(TEACHER)(STUDENT, [])


def distilled(data, teachers=("teacher",)):
    networks = {name: ps.freeze(ps.networks.create("resnet8", seed=i)) for i, name in enumerate(teachers)}
    terms = [ps.Term(KD(), "student", name, name=name) for name in teachers]
    student = ps.networks.create("resnet8", seed=9)
    return ps.Distiller({"student": student, **networks}, terms, data.example(), classifiers=["student", *networks])


def own(labelled, test, **more):
    labels = torch.zeros(4, dtype=torch.int64)
    images = torch.randn(4, 3, 8, 8)
    loader = [(images, labels)] if labelled else [images]
    return ps.data.from_loaders(loader, [(images, labels)] if test else [images], classes=10, **more)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("test", [True, False])
def test_what_suits_follows_from_the_labels(labelled, test):
    data = own(labelled, test)
    found = suited(evaluate, distilled(data), data)
    assert isinstance(found, WithTeacher) == (not labelled and not test)
    assert isinstance(found, WithTeacher) or found is evaluate


def test_the_callers_own_comes_first_and_several_teachers_are_one():
    data = own(False, False)
    assert suited(print, distilled(data), data) is print
    found = suited(evaluate, distilled(data, ("teacher1", "teacher2")), data)
    assert isinstance(found.teacher, ps.networks.MeanOfLogits)
    labelled = own(True, True)
    several = ps.data.Data(**{**vars(labelled), "several": True})
    assert suited(evaluate, distilled(labelled), several) is mean_average_precision
