"""Named settings: what they are, that other flags change them, and that trained weights are fine-tuned by default."""

import json

import pytest

import potstill as ps
from potstill.cli import main
from potstill.errors import BadInput
from potstill.presets import PRESETS, described, with_preset
from potstill.recipes import rocket, supervised
from potstill.tables.crd_benchmark import crd_benchmark, settings
from potstill.tables.row import Budget

DIGITS = "--data digits --images 40 --test-images 20"


@pytest.mark.parametrize("name", PRESETS)
def test_each_is_a_training_with_a_source(name):
    training = ps.Training.preset(name)
    assert training.epochs == PRESETS[name].settings["epochs"]
    shown = described(name)
    assert "https://" in shown["source"]
    words = " ".join(f"{row['flag']} {row['value']}" for row in shown["table"])
    assert f"--epochs {training.epochs}" in words


def test_the_first_is_the_default():
    assert ps.Training.preset("cifar") == ps.Training()


def test_that_of_the_benchmark_is_its_tables_own():
    wanted = settings(Budget(crd_benchmark.epochs, crd_benchmark.epochs), "resnet20")
    found = PRESETS["crd"].settings
    assert {key: wanted[key] for key in found if key != "schedule"} == {
        k: v for k, v in found.items() if k != "schedule"
    }


def training_of(recipe, words):
    """The training that a command line has, and the words left of it."""
    import inspect

    command, left = with_preset(recipe, words.split())
    return inspect.signature(command).parameters["training"].default, left


def test_a_preset_replaces_defaults_and_leaves_the_rest_of_a_recipes_own():
    training, left = training_of(rocket, "--preset crd --lr 0.3")
    assert (training.epochs, training.optimizer, training.milestones) == (240, "sgd", (150, 180, 210))
    assert training.border == "reflect"  # the recipe's own
    assert left == ["--lr", "0.3"]
    assert training_of(rocket, "--preset=deit")[0].mixup == 0.8


def test_flags_beside_it_win(tmp_path, capsys):
    out = tmp_path / "run"
    command = f"supervised --network resnet8 {DIGITS} --preset crd --epochs 2 --milestones 1 --out {out}"
    assert main(command.split()) == 0
    arguments = json.loads((out / "config.json").read_text())["arguments"]
    asked = {name: arguments[name] for name in ("epochs", "milestones", "lr", "batch_size", "optimizer")}
    assert asked == {"epochs": 2, "milestones": [1], "lr": 0.05, "batch_size": 64, "optimizer": "sgd"}


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("--network timm:x --weights pretrained", "adamw"),
        ("--network timm:x --weights=pretrained", "adamw"),
        ("--network timm:x --weights pretrained --lr 0.01", "nesterov"),
        ("--network timm:x --weights pretrained --optimizer sgd", "nesterov"),
        ("--network timm:x --weights pretrained --preset cifar", "nesterov"),
        ("--network timm:x --weights file.pth", "nesterov"),
        ("--network timm:x", "nesterov"),
    ],
)
def test_trained_weights_are_fine_tuned_unless_somebody_says_how(words, chosen, capsys):
    assert training_of(supervised, words)[0].optimizer == chosen
    assert ("--preset fine-tune" in capsys.readouterr().err) == (chosen == "adamw")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--preset diet", "unknown preset 'diet'; did you mean deit?"),
        ("--preset", "--preset needs a name: cifar, crd"),
        ("--preset crd --preset deit", "--preset is given 2 times: crd, deit; give one"),
    ],
)
def test_mistakes_are_named(words, message, capsys):
    assert main(f"supervised --network resnet8 {words}".split()) == 2
    assert message in capsys.readouterr().err


def test_describe_tells_what_it_is(capsys):
    assert main(["describe", "--preset", "vanilla-kd", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {"flag": "--optimizer", "value": "timm:lamb"} in shown["table"]
    assert main(["describe"]) == 2
    assert "give a network to describe" in capsys.readouterr().err


def test_it_is_no_flag_of_a_command_that_trains_nothing(capsys):
    with pytest.raises(BadInput, match="unknown preset"):
        ps.Training.preset("nothing")
    assert main(["report", "--preset", "crd"]) == 2
    assert "unknown flag '--preset'" in capsys.readouterr().err
