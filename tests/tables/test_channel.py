"""The two tables of channel distillation: what each row of the ablation adds, and when weights change."""

import pytest

import potstill as ps
from potstill import tables
from potstill.term_strings import parse_terms


def rows(name, epochs=None):
    return {row.name: row for row in getattr(tables, name).rows(epochs)}


@pytest.mark.parametrize("name", ["channel_cifar", "channel_imagenet"])
def test_each_row_of_the_ablation_adds_one_thing(name):
    cd, gkd, edt = (rows(name)[row].arguments for row in ("cd", "cd-gkd", "cd-gkd-edt"))
    assert (cd["guided"], cd["early_decay"]) == (False, False)
    assert (edt["guided"], edt["early_decay"]) == (True, True)
    if name == "channel_cifar":
        assert gkd == {**cd, "guided": True, "kd_weight": edt["kd_weight"]}
    values = [rows(name)[row].published[0].value for row in ("student", "kd", "cd", "cd-gkd", "cd-gkd-edt")]
    assert values == sorted(values)  # as published, each addition helps


def test_early_decay_is_shortened_with_the_run():
    assert rows("channel_cifar")["cd-gkd-edt"].arguments["decay_at"] == (60, 160)
    assert rows("channel_cifar", 20)["cd-gkd-edt"].arguments["decay_at"] == (6, 16)
    assert rows("channel_imagenet", 10)["cd-gkd-edt"].arguments["decay_at"] == (3, 6, 9)


def test_on_imagenet_channels_decay_without_edt_and_labels_do_not_wait():
    student, teacher = (ps.networks.create(spec, 10) for spec in ("resnet8", "resnet8"))
    strings = rows("channel_imagenet", 10)["cd-gkd"].arguments["terms"]
    terms = {term.name: term for term in parse_terms(strings, {"student": student, "teacher": teacher})}
    assert len(terms) == 5  # cross-entropy, guided KD and three stages

    def weights(name):
        return [value(e) if callable(value := terms[name].weight) else value for e in (0, 2, 3, 9)]

    assert weights("CD student.stage1") == pytest.approx([6, 6, 6 * 0.9, 6 * 0.9**3])
    assert weights("CE student") == weights("KD student") == [1] * 4
