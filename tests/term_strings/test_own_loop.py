"""Term strings in anybody's own loop."""

import pickle

import pytest
import torch

import potstill as ps
from potstill.errors import BadInput
from potstill.term_strings import terms

STRINGS = ("0.1 * CE", "warmup(0.9, 2) * KD(temperature=4)", "1000 * AT on stages")


def pair():
    return {"student": ps.networks.create("resnet8", seed=0), "teacher": ps.freeze(ps.networks.create("resnet14"))}


@pytest.fixture
def batch():
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return images, torch.tensor([0, 1, 2, 3])


def test_a_loop(batch, capsys):
    networks = pair()
    found = terms(STRINGS, networks, batch)
    assert capsys.readouterr().err.count("potstill: matched student.stage") == 3
    distiller = ps.Distiller(networks, found, example=batch)
    optimizer = torch.optim.SGD(distiller.learners["student"].parameters(), lr=0.01)
    totals = []
    for _ in range(5):
        total, values = distiller(batch)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(total.item())
    assert totals[-1] < totals[0]
    assert list(values) == ["CE student", "KD student", *(f"AT student.stage{i}" for i in (1, 2, 3))]


def test_pairs_and_dictionaries_are_the_same_and_only_two_images_are_looked_at(batch, capsys):
    seen, networks = [], pair()
    networks["student"].register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    as_pair = terms(STRINGS, networks, batch)
    as_dictionary = terms(STRINGS, networks, {"images": batch[0], "labels": batch[1]})
    assert [term.addresses for term in as_pair] == [term.addresses for term in as_dictionary]
    assert set(seen) == {2}
    alone = terms(STRINGS, networks)
    assert [term.addresses for term in as_pair] == [term.addresses for term in alone]


def test_terms_can_be_scaled_pickled_and_stay_schedules(batch):
    _, kd, *_ = terms(STRINGS, pair(), batch)
    half = kd.scaled(0.5, "half")
    assert [half.weight_at(epoch) for epoch in (0, 1, 9)] == [0.225, 0.45, 0.45]
    assert (half.name, half.addresses, kd.weight_at(9)) == ("half", kd.addresses, 0.9)
    assert pickle.loads(pickle.dumps(half)).weight_at(0) == 0.225


def test_a_student_alone(batch):
    networks = {"student": pair()["student"]}
    assert terms(["CE"], networks, batch)[0].addresses == ("student", "labels")
    with pytest.raises(BadInput, match="term 'AT on stages': there is no network called 'teacher' to match stages"):
        terms(["AT on stages"], networks, batch)
    with pytest.raises(BadInput, match="unknown address 'teacher'"):
        ps.Distiller(networks, terms(["CE", "KD"], networks, batch), example=batch)


def test_without_a_student_it_says_so(batch):
    with pytest.raises(BadInput, match="no network is called 'student', which terms are about; there are: a, b$"):
        terms(["CE"], {"a": None, "b": None}, batch)
