"""Places that are whole addresses: other networks, other inputs, parts of outputs."""

import pytest
import torch
from torch import nn

import potstill as ps
from potstill.errors import BadInput
from potstill.term_strings import parse_terms, terms


class TwoHeads(nn.Module):
    """A network whose head for distillation is not what it returns."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 8))
        self.head, self.head_dist = nn.Linear(8, 5), nn.Linear(8, 5)

    def forward(self, images):
        features = self.body(images)
        return self.head(features) + 0 * self.head_dist(features)


class Tuple(TwoHeads):
    """The same, which returns both."""

    def forward(self, images):
        features = self.body(images)
        return self.head(features), self.head_dist(features)


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return {"student": TwoHeads(), "teacher": ps.freeze(TwoHeads())}


@pytest.fixture
def batch():
    images = torch.randn(2, 4, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return {"images": images[0], "strong": images[1], "labels": torch.tensor([0, 1, 2, 3])}


@pytest.mark.parametrize(
    ("string", "addresses"),
    [
        ("KD on head_dist=teacher", ("student.head_dist", "teacher")),
        ("KD on student=head", ("student", "teacher.head")),
        ("KD on student=teacher", ("student", "teacher")),
        ("KD on student.head_dist=teacher.head", ("student.head_dist", "teacher.head")),
        ("KD on student@strong=teacher", ("student@strong", "teacher")),
        ("KD on @strong", ("student@strong", "teacher@strong")),
        ("KD on student@strong", ("student@strong", "teacher")),
        ("KD on teacher@strong", ("student", "teacher@strong")),
        ("CE on student@strong", ("student@strong", "labels")),
        ("CE on head_dist", ("student.head_dist", "labels")),
        ("PKT on @strong.body=body", ("student@strong.body", "teacher.body")),
        ("PKT on student@strong.body=teacher.body:in", ("student@strong.body", "teacher.body:in")),
        ("Logits on head.weight", ("student.head.weight", "teacher.head.weight")),
    ],
)
def test_whole_addresses_are_taken_as_they_are(networks, batch, string, addresses):
    (term,) = terms([string], networks, batch)
    assert term.addresses == addresses
    labels = [ps.Term(nn.functional.cross_entropy, "student", "labels", name="labels")]
    _, values = ps.Distiller(networks, [*labels, term], example=batch)(batch)
    assert values[term.name].isfinite()
    assert terms([string], networks)[0].addresses == addresses  # without a look at the networks, too


def test_the_value_is_that_of_the_address(networks, batch):
    labels = ps.Term(nn.functional.cross_entropy, "student", "labels", name="labels")
    found = terms(["KD(2) on head_dist=teacher", "Logits on student@strong=teacher"], networks, batch)
    _, values = ps.Distiller(networks, [labels, *found], example=batch)(batch)
    student, teacher = networks["student"], networks["teacher"](batch["images"])
    by_hand = ps.losses.KD(2)(student.head_dist(student.body(batch["images"])), teacher)
    torch.testing.assert_close(values["KD student.head_dist"], by_hand.detach())
    by_hand = ps.losses.Logits()(student(batch["strong"]), teacher)
    torch.testing.assert_close(values["Logits student@strong"], by_hand.detach())


def test_parts_of_what_a_network_returns(batch):
    networks = {"student": Tuple(), "teacher": ps.freeze(Tuple())}
    found = terms(["CE", "KD on #1=#0", "KD on #0=teacher#1"], networks, batch)
    assert [term.addresses for term in found[1:]] == [("student#1", "teacher#0"), ("student#0", "teacher#1")]
    _, values = ps.Distiller(networks, found, example=batch)(batch)
    assert all(value.isfinite() for value in values.values())


def test_a_third_network_is_named_and_left_alone(networks, batch):
    networks["average"] = ps.freeze(TwoHeads())
    (term,) = terms(["KD on student=average"], networks, batch)
    assert term.addresses == ("student", "average")
    (term,) = parse_terms(["KD on light=average"], networks, {"student": "light", "teacher": "booster"})
    assert term.addresses == ("light", "average")
    (term,) = parse_terms(["KD on student@strong=booster"], networks, {"student": "light", "teacher": "booster"})
    assert term.addresses == ("light@strong", "booster")


def test_of_several_teachers_the_one_that_is_named(networks, batch):
    several = {"student": networks["student"], "teacher1": networks["teacher"], "teacher2": ps.freeze(TwoHeads())}
    one, *both = terms(["0.5 * KD on head_dist=teacher2", "KD on head_dist=teacher@strong"], several, batch)
    assert (one.addresses, one.weight, one.name) == (("student.head_dist", "teacher2"), 0.5, "KD student.head_dist")
    assert [(term.addresses[1], term.weight) for term in both] == [("teacher1@strong", 0.5), ("teacher2@strong", 0.5)]


def test_of_a_mean_the_mean_or_the_one_that_is_named(networks, batch):
    mean = ps.freeze(ps.networks.MeanOfLogits([networks["teacher"], TwoHeads()]))
    networks = {"student": networks["student"], "teacher": mean}
    strings = ["KD on head_dist=teacher", "KD on student@strong=teacher@strong", "KD on head=teacher.networks.1.head"]
    found = terms([*strings, "PKT on body"], networks, batch)
    assert [(term.addresses, term.weight) for term in found] == [
        (("student.head_dist", "teacher"), 1),
        (("student@strong", "teacher@strong"), 1),
        (("student.head", "teacher.networks.1.head"), 1),
        (("student.body", "teacher.networks.0.body"), 0.5),
        (("student.body", "teacher.networks.1.body"), 0.5),
    ]


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("AT on teacher.body", r"no place in the student for that of the other; pair them"),
        ("IRG on body, student@strong.body", r"no place in the teacher for that of the other; pair them"),
        ("KD on student#x@strong", r"'student#x@strong' is no address"),
        ("KD on student@", r"'student@' is no address"),
    ],
)
def test_mistakes(networks, batch, string, message):
    with pytest.raises(BadInput, match=message):
        terms([string], networks, batch)


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("KD on student@strnog=teacher", "strong"),
        ("KD on head_dsit=teacher", r"nearest: student\.head_dist"),
        ("KD on head=teacher.haed", r"nearest: teacher\.head"),
        ("Logits on head.wieght", r"nearest: student\.head\.weight"),
    ],
)
def test_what_is_not_there_is_said_before_anything_trains(networks, batch, string, message):
    with pytest.raises(BadInput, match=message):
        ps.Distiller(networks, terms(["CE", string], networks, batch), example=batch)
