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


def test_what_is_inside_brackets_is_no_end_of_the_loss(networks, tmp_path):
    file = tmp_path / "named.py"
    file.write_text(
        "class Named:\n"
        "    def __init__(self, name):\n        self.name = name\n"
        "    def __call__(self, student, teacher):\n        return (student - teacher).mean()\n"
    )
    (term,) = parse(networks, f"{file}:Named(name=(' on a * b')) on pooled")
    assert term.loss.name == " on a * b"
    assert term.addresses == ("student.pooled", "teacher.pooled")


def test_a_string_may_be_as_long_as_it_says(networks):
    assert len(parse(networks, "CE".ljust(5000))) == 1
    with pytest.raises(BadInput, match="is not a text of 5,000 characters at most"):
        parse(networks, "CE".ljust(5001))


def test_a_class_that_has_no_arguments_of_its_own_takes_none(networks, tmp_path):
    file = tmp_path / "plain.py"
    file.write_text(
        "import torch\nclass Plain(torch.nn.Module):\n    def forward(self, s, t):\n        return (s - t).mean()\n"
    )
    with pytest.raises(BadInput, match=r"plain\.py:Plain: got an unexpected keyword argument 'factor'"):
        parse(networks, f"{file}:Plain(factor=2)")


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


ODD = [  # B1, B14, C11: what a term string must refuse, in one line
    *("KD(4)(5)", "CE()()", "KD(4)[0]", "KD(4).x", "(KD)(4)", "KD(4) KD(5)", "KD()()()", "KD(4)5"),
    *("CE(reduction='none')", "KD(reduction='elementmeen')", "KD(guided='false')", "AT(p=0)", "AT(channels='avg')"),
    *("CRD(negatives=0)", "FT(factor=0)", "KD(temperature=1e300)", "KD(temperature=1e400)", "KD(temperature=-1e400)"),
    *(
        "KD(temperature=True)",
        "KD(temperature=None)",
        "KD(temperature='4')",
        "KD(temperature=[4])",
        "KD(4, 4, 4, 4, 4)",
    ),
    *("KD(*[4])", "KD(**{'temperature': 4})", "KD(temperature=4, temperature=2)", "KD(4, temperature=2)", "KD(x:=4)"),
    *("KD({[]: 1})", "KD({{}})", "KD(lambda: 4)", "KD(4 if 1 else 5)", "KD(f'{4}')", "KD(1j)", "KD(b'4')", "KD('\\d')"),
    *("KD(temp=4)", "SP(foo=1)", "FT('x')", "OFD(margin=[1e400])", "CE([1])", "CE(ignore_index=1e3)", "AT(eps=0)"),
    *("builtins:print", "builtins:len()()", "builtins:type", "builtins:dict", "builtins:KeyboardInterrupt"),
    *(":x", "x:", ":", "::", "..x:foo", "os.:x", "os:", "os:abort", "os:nothing", "os.path:", "functools:partial"),
    *(
        "subprocess:Popen('ls')",
        "collections:Counter",
        "types:SimpleNamespace",
        "sys:exit",
        "nothing.py:x",
        "-:x",
        "a b:c",
    ),
    *("nan * KD", "inf * KD", "-inf * KD", "1e400 * KD", "-1e400 * KD", "1e31 * KD", "-1 * KD", "--1 * KD", "+-1 * KD"),
    *("1/0 * KD", "1+1 * KD", "1j * KD", "True * KD", "None * KD", "'1' * KD", "b'1' * KD", "() * KD", "{1} * KD"),
    *("{1: 2} * KD", "[] * KD", "* KD", "** KD", "1 ** KD", "1 * 2 * KD", "1 *", "*", "1", "()", "1 * (KD)", "KD *"),
    *("warmup(1, 20)(3) * KD", "warmup() * KD", "warmup(1, 20, 3) * KD", "warmup(1, epochs=20, epochs=2) * KD"),
    *(
        "warmup(-1, 20) * KD",
        "warmup(1, -20) * KD",
        "warmup(1, 2.5) * KD",
        "warmup(nan, 20) * KD",
        "warmup(1e400, 2) * KD",
    ),
    *("milestones(1, [-1], 1) * KD", "milestones(1, [2, 1], 1) * KD", "milestones(1, 5, 1) * KD", "linear(1, 0) * KD"),
    *("milestones(1, [1], 0) * KD", "milestones(1, [1], -1) * KD", "milestones(1, [1], 1e9) * KD", "cosine(1, 0) * KD"),
    *("cosine(warmup(1, 2), 3) * KD", "from_epoch(1, -1) * KD", "from_epoch(warmup, 1) * KD", "Warmup(1, 2) * KD"),
    *("KD on", "KD on ", "KD on ,", "KD on student@@x", "KD on #", "KD on @", "KD on =", "KD on  = ", "KD on student."),
    *("", " ", "\0", "KD\0", "KD(\0)", "KD on \0", "KD\x1b[31m", "\ud800", "KD(", "KD)", "KD((4)", "KD(4))", ")(", "("),
    *("9" * 4400 + " * KD", f"KD({'9' * 4400})", "(" * 900 + "1" + ")" * 900 + " * KD", f"KD({'[' * 900}{']' * 900})"),
    *(f"KD({'-' * 2000}1)", "x" * 6000, "KD(" + "1," * 3000 + ")", "1 * " * 1000 + "KD", "KD(\n" * 300),
]


@pytest.mark.parametrize("string", ODD, ids=range(len(ODD)))
def test_what_is_no_term_is_refused_in_one_line(networks, string):
    with pytest.raises(BadInput) as caught:
        parse(networks, string)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("string", [None, 4, b"KD", ["KD"], ps.losses.KD()])
def test_what_is_no_string_is_refused(networks, string):
    with pytest.raises(BadInput, match="is not a text"):
        parse(networks, string)


@pytest.mark.parametrize(
    ("strings", "names"),
    [
        (["KD", "CE"], ["KD student", "CE student"]),
        (["KD(temperature=4)"], ["KD student"]),
        (["KD(temperature=4)", "KD(temperature=2)"], ["KD(temperature=4) student", "KD(temperature=2) student"]),
        (["KD", "KD(2)", "CE"], ["KD student", "KD(2) student", "CE student"]),
        (["AT on layer1", "AT(p=4) on layer2"], ["AT student.layer1", "AT student.layer2"]),
        (
            ["AT on layer1, layer2", "AT(p=4) on layer2"],
            ["AT student.layer1", "AT student.layer2", "AT(p=4) student.layer2"],
        ),
        (["KD", "warmup(1, 5) * KD"], ["KD student", "warmup(1, 5) * KD student"]),
        (["2 * KD(2)", "3 * KD(2)"], ["2 * KD(2) student", "3 * KD(2) student"]),
    ],
)
def test_two_terms_of_one_loss_are_told_apart_by_their_arguments(networks, strings, names):  # C15
    terms = parse(networks, *strings)
    assert [term.name for term in terms] == names
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))
    assert list(ps.Distiller(networks, terms, example=batch)(batch)[1]) == names


def test_several_teachers_terms_of_one_loss_are_told_apart():
    networks = {name: ps.networks.create("resnet8") for name in ("student", "teacher1", "teacher2")}
    terms = ps.terms(["KD(2)", "KD(4)"], networks)
    wanted = [f"KD({t}) student from teacher{n}" for t in (2, 4) for n in (1, 2)]
    assert [term.name for term in terms] == wanted


def test_a_function_takes_no_arguments_and_says_so(networks, tmp_path):
    (file := tmp_path / "own.py").write_text("def gap(student, teacher):\n    return (student - teacher).mean()\n")
    with pytest.raises(BadInput, match="is a function, which takes no arguments here"):
        parse(networks, f"{file}:gap(2)")


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        ("5", "taps must be a list, not 5"),
        ("('student', 5)", "taps must be text, not 5"),
        ("[]", "taps must not be empty"),
    ],
)
def test_taps_that_are_none_are_refused(networks, tmp_path, taps, message):
    (file := tmp_path / "own.py").write_text(
        f"import torch\nclass Own(torch.nn.Module):\n    taps = {taps}\n    def forward(self, a, b): return a.mean()\n"
    )
    with pytest.raises(BadInput, match=message):
        parse(networks, f"{file}:Own")


def test_an_own_loss_that_fails_names_its_line(networks, tmp_path):
    (file := tmp_path / "own.py").write_text(
        "import torch\nclass Own(torch.nn.Module):\n    def __init__(self, x=0):\n        1 / x\n"
    )
    with pytest.raises(BadInput, match=r"failed: ZeroDivisionError: division by zero \(.*own.py, line 4\)"):
        parse(networks, f"{file}:Own(x=0)")


def test_networks_without_stages_or_with_other_numbers_of_them():
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(BadInput, match="student has no stages to tap"):
        parse({"student": plain, "teacher": plain}, "AT on stages")
    four = ps.networks.create("timm:resnet18")
    with pytest.raises(BadInput, match="student 3 and teacher 4"):
        parse({"student": ps.networks.create("resnet8"), "teacher": four}, "AT on stages")
