"""What a recipe was asked is known while it runs, whichever way it was asked."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from potstill.cli import main
from potstill.runs.recording import arguments_of, current_record, recipe
from potstill.training import Training


@dataclass(frozen=True)
class Master:
    """A trained network."""

    master: str
    master_size: int | None = None


@recipe
def two_words(
    *, width: int = 2, master: Master, training: Training = Training(optimizer="sgd"), **rest: int
) -> tuple[dict, Master, Training, dict]:
    """Tell what arrived."""
    return current_record(), master, training, rest


def test_arguments_are_recorded_flat_with_their_defaults_and_forgotten_afterwards():
    record, master, training, _ = two_words(master=Master("x"), training=Training(epochs=3))
    assert list(record)[:4] == ["recipe", "width", "master", "master_size"]
    assert (record["recipe"], record["width"], record["master"], record["master_size"]) == ("two-words", 2, "x", None)
    assert (record["epochs"], record["optimizer"]) == (3, "nesterov")
    assert (master, training) == (Master("x"), Training(epochs=3))
    assert "training" not in record
    assert current_record() == {}


def test_fields_may_be_given_flat_beside_their_dataclass_or_in_another_one():
    @dataclass(frozen=True)
    class Other:
        master: str

    whole = two_words(master=Master("x", 8), training=Training(optimizer="sgd", epochs=3))
    assert two_words(master="x", master_size=8, epochs=3) == whole
    assert two_words(master=Master("x"), master_size=8, training=Training(optimizer="sgd"), epochs=3) == whole
    assert two_words(master=Other("x"), master_size=8, epochs=3) == whole


def test_what_one_does_not_say_is_as_the_recipe_has_it():
    record, _, training, _ = two_words(master="x")
    assert training == Training(optimizer="sgd")
    assert record["optimizer"] == "sgd"
    assert arguments_of(two_words, {"master": "x"}) == {name: v for name, v in record.items() if name != "recipe"}


def test_the_innermost_recipe_counts_and_an_error_leaves_nothing():
    @recipe
    def outer() -> tuple[dict, dict]:
        inner = two_words(master="x")[0]
        return inner, current_record()

    inner, own = outer()
    assert (inner["recipe"], own) == ("two-words", {"recipe": "outer"})

    @recipe
    def broken() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert current_record() == {}


def test_an_argument_of_the_recipe_itself_is_no_field():
    @recipe
    def own(epochs: int, training: Training = Training()) -> tuple[int, int]:
        return epochs, training.epochs

    assert own(epochs=3) == own(3) == (3, 200)


def test_a_mistaken_argument_is_a_type_error():
    for mistake in ({}, {"master": "x", "widht": 3}):
        with pytest.raises(TypeError, match="master|widht"):
            arguments_of(lambda *, master: master, mistake)


def test_ones_own_recipe_is_recorded_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "mine.py"
    file.write_text(
        "import potstill as ps\nfrom potstill.runs.recording import current_record\n"
        "def main(*, times: int = 2, training: ps.Training = ps.Training()) -> dict:\n"
        "    '''Tell.'''\n    return {k: v for k, v in current_record().items() if k in ('recipe', 'times', 'lr')}\n"
        "def other() -> dict:\n    '''Tell.'''\n    return current_record()\n"
    )
    assert main(["run", str(file), "--times", "4", "--lr", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"recipe": "mine", "times": 4, "lr": 0.5}
    assert main(["run", f"{file}:other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"recipe": "other"}
