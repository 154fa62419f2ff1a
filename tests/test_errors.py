"""A5, C11, C16, D: messages are one line of bearable length, and name the nearest word; nothing absurd is built."""

import pickle

import pytest

import potstill as ps
from potstill.cli import main
from potstill.errors import BadInput, shown, unknown

LONG = "x" * 5000


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["describe", value]
            for value in (LONG, f"{LONG}:Net", f"{LONG}.py:Net", f"timm:{LONG}", f"torchvision:{LONG}")
        ),
        *(["describe", value] for value in (f"resnet8+{LONG}", f"a/{LONG}", "a/" * 3000, "resnet" + "9" * 5000)),
        *(
            ["describe", "resnet8", *flags]
            for flags in (["--conv", LONG], ["--latency", "--device", LONG], ["--classes", "9" * 5000])
        ),
        ["describe", "resnet8", "--input", LONG, "3", "3"],
        *(
            [LONG],
            [f"--{LONG}"],
            ["list", LONG],
            ["table", LONG],
            ["run", LONG],
            ["run", f"{LONG}.py"],
            ["report", LONG],
        ),
        *(["supervised", "--network", "resnet8", "--data", value] for value in (LONG, f"./{LONG}", "a/" * 3000)),
        *(["supervised", "--network", "resnet8", "--data", "digits", flag, LONG] for flag in ("--lr", "--optimizer")),
        ["supervised", "--network", "resnet8", "--data", "digits", "--normalize", "1 " * 2500],
        ["distill", "--student", "resnet8", "--teacher", LONG, "--data", "digits"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_a_long_argument_is_not_echoed_whole(words, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1000


def test_of_many_names_a_few_are_listed():
    error = str(unknown("timm network", "zzzz", [f"name{n}" for n in range(1300)]))
    assert error.startswith("unknown timm network 'zzzz'; known: name0, name1, ")
    assert error.endswith(", name29 and 1,270 more")


def test_a_message_keeps_what_is_short():
    text = f"no folder {'/a' * 140!r} beside 'b', nor {'c d ' * 200!r}"
    assert str(BadInput(text)) == text
    assert str(pickle.loads(pickle.dumps(BadInput(LONG)))) == str(BadInput(LONG))


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4, "4"),
        (-(10**5000), "a number of about 5,000 digits"),
        ([10**5000], "a list"),
        (Unspeakable(), "a Unspeakable"),
        ("a\nb", "'a\\nb'"),
        ("x" * 101, f"'{'x' * 99}..."),
    ],
    ids=range(6),
)
def test_values_are_shown_on_one_line(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("list loss", "unknown subject 'loss'; did you mean losses?"),
        ("supervised --network resnet8 --optimizer sdg", "unknown optimizer 'sdg'; did you mean sgd?"),
        ("rocket --share interva", "unknown share 'interva'; did you mean interval?"),
    ],
)
def test_the_nearest_choice_is_named(words, message, capsys):
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err


SIZES = {
    "wrn-16-100000": "wide_resnet: width must be 64 or less, not 100000",
    "wrn-16-" + "9" * 400 + ".5": "width must be a finite number, not inf",
    "resnet8" + "0" * 30: "a number of 31 digits is too large, 9 are the most",
    "resnet" + "9" * 5000: "a number of 5,000 digits is too large, 9 are the most",
    "resnet999999998": "resnet: depth must be 2,000 or less, not 999999998",
    "resnet999999998x4": "resnet_x4: depth must be 2,000 or less",
    "resnet999999998a": "resnet_a: depth must be 2,000 or less",
    "resnet999999998-cifar": "resnet_imagenet_cifar: depth must be 2,000 or less",
    "wrn-2002-1-old": "wide_resnet_old: depth must be 2,000 or less",
    "wrn-16-1-split99999999999": "a number of 11 digits is too large",
    "wrn-16-1-split999999999": "stage1 has 2 blocks, which 999999999 does not divide; the nearest number is 2",
    "vgg999999999": "vgg: depth must be 2,000 or less",
    "mobilenetv2x1000": "mobilenet_v2: width must be 64 or less, not 1000",
    "wrn-10-1+ACDC999999999": "layers must be 1,000 or less, not 999999999",
    "wrn-10-1+ACDC" + "9" * 200: "a number of 200 digits is too large",
    "wrn-10-1+G" + "9" * 200 + "B1": "a number of 200 digits is too large",
    "wrn-10-1+ConvB999999999": "a bottleneck of 1/999999999 of 16 channels would have none",
    "wrn-10-1+A999999999B1": "are not divisible into 999999999 groups",
    "wrn-10-1" + "+DConv" * 40: "more than 20 times +",
    "resnet\u0662\u0660": "unknown network",
    "resnet020": "unknown network 'resnet020'; did you mean resnet20",
}


@pytest.mark.parametrize("spec", SIZES, ids=lambda spec: spec[:30])
def test_a_network_of_absurd_size_is_refused_before_it_takes_memory(spec):
    with pytest.raises(BadInput) as caught:
        ps.networks.create(spec)
    assert SIZES[spec] in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("spec", ["resnet8", "timm:resnet18", "torchvision:resnet18", "resnet8+DConv"])
@pytest.mark.parametrize("classes", [-1, 10**12, 10**5000, True, 2.0, "10", None], ids=range(7))
def test_numbers_of_classes(spec, classes):
    with pytest.raises(BadInput, match="^create: classes must be "):
        ps.networks.create(spec, classes)


def test_many_classes_of_a_wide_network_are_counted_too():
    with pytest.raises(BadInput, match="network 'resnet152' has more than 500,000,000 parameters"):
        ps.networks.create("resnet152", 10**6)


def test_a_bank_of_gigabytes_is_refused():
    loss = ps.losses.CRD(samples=10**9, width=128, contrast="samples")
    batch = ps.data.load("digits").example()
    with pytest.raises(BadInput, match="CRD: 1,000,000,000 rows of width=128 take gigabytes"):
        loss.build(batch["images"], batch["images"], batch["index"])
