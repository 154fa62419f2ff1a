import re

import pytest
import torch

import potstill as ps
from potstill.errors import BadInput
from potstill.losses import AT, CE, FSP, IRG, KD, RKD, FitNet, LwM
from potstill.term_strings import parse_terms

MAPS = (("student.layer1", "student.layer2"), ("teacher.layer1", "teacher.layer2"))


@pytest.fixture(scope="module")
def networks():
    return {"student": ps.networks.create("resnet8"), "teacher": ps.freeze(ps.networks.create("resnet14"))}


def parse(networks, *strings):
    return parse_terms(strings, networks)


@pytest.mark.parametrize(
    ("string", "kind", "weight", "addresses"),
    [
        ("CE", CE, 1, ("student", "labels")),
        ("0.1*CE", CE, 0.1, ("student", "labels")),
        (" 1e3 * CE(label_smoothing=0.1) ", CE, 1000, ("student", "labels")),
        ("0.9 * KD(temperature=4)", KD, 0.9, ("student", "teacher")),
        ("KD(2, guided=True)", KD, 1, ("student", "teacher", "labels")),
        ("AT on layer2", AT, 1, ("student.layer2", "teacher.layer2")),
        ("AT(p=4) on layer2=layer3.0.relu2:in", AT, 1, ("student.layer2", "teacher.layer3.0.relu2:in")),
        ("2 * KD on pooled", KD, 2, ("student.pooled", "teacher.pooled")),
        ("FSP on layer1 layer2=layer3", FSP, 1, (MAPS[0], ("teacher.layer1", "teacher.layer3"))),
        ("IRG on layer1, layer2", IRG, 1, ((*MAPS[0], "student"), (*MAPS[1], "teacher"))),
        ("LwM on layer2", LwM, 1, ("student.layer2", "teacher.layer2", "student", "teacher", "labels")),
        ("RKD", RKD, 1, ("student.pooled", "teacher.pooled")),
    ],
)
def test_one_term(networks, string, kind, weight, addresses):
    (term,) = parse(networks, string)
    assert isinstance(term.loss, kind)
    assert term.weight_at(0) == weight
    assert term.addresses == addresses


def test_arguments_arrive(networks):
    (term,) = parse(networks, "KD(2.5, reduction='elementmean')")
    assert (term.loss.temperature, term.loss.reduction) == (2.5, "elementmean")


def test_stages_are_one_term_each_with_a_loss_of_its_own(networks):
    for string in ("100 * FitNet on stages", "100 * FitNet", "100 * FitNet on stage1, stage2 stage3"):
        terms = parse(networks, string)
        assert [term.name for term in terms] == [f"FitNet student.stage{i}" for i in (1, 2, 3)]
        assert len({term.loss for term in terms}) == 3
        assert all(isinstance(term.loss, FitNet) for term in terms)


def test_losses_before_the_activation_take_every_stage_there(networks):
    terms = parse(networks, "AB")
    assert [term.addresses[1] for term in terms] == [f"teacher.stage{i}:pre" for i in (1, 2, 3)]


@pytest.mark.parametrize(
    ("weight", "values"),
    [
        ("warmup(1, 4)", {0: 0.25, 3: 1.0, 9: 1.0}),
        ("milestones(6, at=[60, 160], factor=0.9)", {59: 6, 60: 5.4, 160: 4.86}),
        ("from_epoch(linear(2.0, epochs=160), 10)", {9: 0, 10: 1.875, 160: 0}),
    ],
)
def test_a_weight_may_be_a_schedule(networks, weight, values):
    (term,) = parse(networks, f"{weight} * KD(temperature=4)")
    assert {epoch: term.weight_at(epoch) for epoch in values} == pytest.approx(values)
    assert term.loss.temperature == 4


def test_networks_may_be_called_otherwise(networks):
    terms = parse_terms(["IRG on layer1, layer2"], networks, {"student": "light", "teacher": "booster"})
    assert terms[0].addresses[0] == ("light.layer1", "light.layer2", "light")
    assert terms[0].name == "IRG light.layer1"


def test_ones_own_loss_from_a_file(networks, tmp_path):
    file = tmp_path / "mylab.py"
    file.write_text(
        "import torch\n"
        "def gap(student, teacher):\n    return (student.mean() - teacher.mean()).abs()\n"
        "class Scaled(torch.nn.Module):\n"
        "    def __init__(self, factor=1.0):\n        super().__init__()\n        self.factor = factor\n"
        "    def forward(self, student, teacher):\n        return self.factor * gap(student, teacher)\n"
    )
    function, module = parse(networks, f"0.5 * {file}:gap on stage3", f"{file}:Scaled(factor=2) on stage3")
    assert (function.weight_at(0), function.name, module.name) == (0.5, "gap student.stage3", "Scaled student.stage3")
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))
    _, values = ps.Distiller(networks, [function, module], example=batch)(batch)
    assert values["Scaled student.stage3"] == pytest.approx(2 * values["gap student.stage3"].item())


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("KDD", "unknown loss 'KDD'; did you mean KD"),
        ("0.9 KD", "unknown loss '0.9 KD'"),
        ("x * KD", "'x' is neither a number nor a schedule"),
        ("[1] * KD", "'[1]' is neither a number nor a schedule"),
        ("warmup(1, 0) * KD", "term 'warmup(1, 0) * KD': warmup: epochs must be 1 or more, not 0"),
        ("warmup(1) * KD", "'warmup(1)' is neither a number nor a schedule"),
        ("open('x') * KD", "unknown schedule 'open'"),
        ("warmpu(1, 2) * KD", "unknown schedule 'warmpu'; did you mean warmup"),
        ("ps.warmup(1, 2) * KD", "is neither a number nor a schedule"),
        ("KD(temprature=4)", "unknown argument of KD 'temprature'; did you mean temperature?"),
        ("KD(temperature=-1)", "KD: temperature must be 0.001 or more, not -1"),
        ("KD(temperature=open('x'))", "not a list of plain values"),
        ("KD(__import__('os'))", "not a list of plain values"),
        ("KD(", "is not of the form"),
        ("", "is not of the form"),
        ("nowhere.py:Loss", "no file 'nowhere.py'"),
        ("nowhere_at_all:Loss", "cannot import 'nowhere_at_all'"),
    ],
)
def test_mistakes(networks, string, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        parse(networks, string)


def test_networks_without_stages_or_with_other_numbers_of_them():
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(BadInput, match="student has no stages to tap"):
        parse({"student": plain, "teacher": plain}, "AT on stages")
    four = ps.networks.create("timm:resnet18")
    with pytest.raises(BadInput, match="student 3 and teacher 4"):
        parse({"student": ps.networks.create("resnet8"), "teacher": four}, "AT on stages")
