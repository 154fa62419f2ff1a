"""Terms of a network that learns alone."""

import pytest
import torch

import potstill as ps
from potstill.cli import main
from potstill.errors import BadInput
from potstill.term_strings.alone import terms_alone

OWN = """
import torch


class Small(torch.nn.Module):
    def forward(self, features):
        return features.square().mean()


def wide(logits, labels, power=2):
    return -logits.abs().pow(power).mean()


def even(logits):
    return logits.var()
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "own.py"


def addresses(strings, student=None):
    batch = torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
    found = terms_alone(strings, student or ps.networks.create("resnet8"), batch)
    return {term.name: (term.addresses, term.weight) for term in found}


def test_places_of_losses_that_say_nothing(own):
    assert addresses([f"0.1 * {own}:Small", f"2 * {own}:wide", f"{own}:even"]) == {
        "Small student": (("student",), 0.1),
        "wide student": (("student", "labels"), 2.0),
        "even student": (("student",), 1.0),
    }
    assert addresses([f"{own}:Small on student.stage3", f"{own}:wide on stage1, stage2"]) == {
        "Small student.stage3": (("student.stage3",), 1.0),
        "wide student.stage1": (("student.stage1", "labels"), 1.0),
        "wide student.stage2": (("student.stage2", "labels"), 1.0),
    }


@pytest.mark.parametrize("term", ["0.5 * KD", "RKD", "FitNet on stage1", "AT on stage1=stage2"])
def test_a_term_that_needs_a_teacher_is_refused(term):
    with pytest.raises(BadInput, match="needs a teacher, and there is none: potstill distill"):
        addresses(["CE", term])


def test_the_default_is_the_baseline_and_a_further_term_changes_it(own, tmp_path):
    words = "supervised --network resnet8 --data digits --images 60 --test-images 20 --epochs 1 --batch-size 30"
    states = []
    for name, terms in {"plain": ["CE"], "more": ["CE", f"5 * {own}:Small on student.stage3"]}.items():
        given = ["--terms", *terms] if name == "more" else []
        assert main([*words.split(), "--device", "cpu", "--out", str(tmp_path / name), *given]) == 0
        states.append(ps.networks.create(str(tmp_path / name)).state_dict()["conv1.weight"])
    assert not torch.equal(*states)
