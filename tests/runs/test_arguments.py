"""A run's arguments as JSON has them, and the recipe that a record names."""

from dataclasses import dataclass
from pathlib import Path

from potstill.runs.arguments import plain_arguments, recipe_of
from potstill.training import Training


@dataclass(frozen=True)
class Settings:
    where: Path
    sizes: tuple[int, ...]


def test_arguments_of_every_kind_are_plain():
    record = {"recipe": "own", "training": None, "settings": Settings(Path("a/b"), (1, 2)), "kind": Settings, "x": None}
    plain = plain_arguments(record, Training("digits"))
    assert plain["settings"] == {"where": "a/b", "sizes": [1, 2]}
    assert plain["kind"] == str(Settings)
    assert plain["x"] is None
    assert "recipe" not in plain
    assert plain["data"] == "digits"


def test_the_recipe_that_a_record_names():
    assert recipe_of({"recipe": "distill"}) == "distill"
    assert recipe_of({}) == "fit"
