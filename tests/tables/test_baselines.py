"""Which row a row's gain is over, for every row of every table."""

import pytest

from potstill import tables

TABLES = {name: getattr(tables, name) for name in tables.__all__}
OF_THE_METHOD = {"optimizer": "dot", "freeze": ("scion",)}
"""Settings in which a method consists, all or in part."""


def rows_of(name, epochs=None):
    return {row.name: row for row in TABLES[name].rows(epochs)}


def network(row, rows):
    """The network that counts in a row, without what a method adds to it; from its recipe's own arguments."""
    given, (learner,) = row.arguments, row.learners
    if row.recipe == "moonshine":
        start = given.get("student", rows[row.teacher].arguments["network"])
        return start if given["conv"] == "Conv" else f"{start}+{given['conv']}"
    if row.recipe == "mutual":
        return given["networks"]["ab".index(learner)]
    whole = given[{"supervised": "network", "rocket": learner}.get(row.recipe, "student")]
    own, _, more = whole.partition("^")
    assert not more or "simkd" in row.name or "norm" in row.name
    assert "_distilled_" not in own or row.name.endswith("-deit-hard")
    return own.replace("_distilled_", "_")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("epochs", [None, 3])
def test_a_baseline_trains_the_same_student_in_the_same_way(name, epochs):
    rows = rows_of(name, epochs)
    helped = [row for row in rows.values() if row.baseline is not None]
    assert helped
    for row in helped:
        alone = rows[row.baseline]
        assert (alone.recipe, alone.teacher, alone.runs_of, alone.baseline) == ("supervised", None, None, None)
        terms = alone.arguments.get("terms", ("1 * CE",))
        assert len(terms) == 1 and "CE" in terms[0], "a baseline with help"  # noqa: PT018
        assert network(row, rows) == network(alone, rows), row.name
        other = {field for field, value in row.training.items() if value != alone.training.get(field)}
        assert all(row.training[field] == OF_THE_METHOD.get(field) for field in other), (row.name, other)
        assert alone.training.keys() <= row.training.keys()


BOTTOM = ["rocket-bottom-booster"]
BETTER_OF_TWO = [f"{data}-{pair}-dml" for data in ("cifar10", "cifar100") for pair in (
    "resnet20-resnet20", "resnet110-resnet20", "resnet110-resnet110"
)]  # fmt: skip
WITHOUT = {"rocket_table1": BOTTOM, "rocket_table4": BOTTOM, "kd_zoo": BETTER_OF_TWO}
SELF_TAUGHT = {"imagenet_34_18": ["uskd"], "vit_small": ["deit-ti-uskd"]}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_with_help_has_one_but_for_those_that_have_no_like(name):
    rows = rows_of(name).values()
    helped = [row.name for row in rows if row.recipe != "supervised"] + SELF_TAUGHT.get(name, [])
    without = [row.name for row in rows if row.baseline is None]
    assert sorted(set(helped) & set(without)) == sorted(WITHOUT.get(name, []))
    assert set(helped) | set(without) == {row.name for row in rows}


def test_no_booster_alone_has_the_schedule_of_bottom_nets():
    rows = rows_of("rocket_table1")
    assert rows["rocket-bottom-booster"].training != rows["booster-40-1"].training
    assert rows["rocket-16-1-booster"].training == rows["booster-40-1"].training
    assert rows["rocket-16-1-booster"].baseline == "booster-40-1"
