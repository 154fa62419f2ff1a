import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, macs, parameters, substitute, within_budget
from potstill.networks.cheap import ORIGINAL
from potstill.networks.finder import specs


@pytest.fixture(scope="module")
def everything():
    """All that can be built for a small teacher, none of it more expensive."""
    return within_budget(create("wrn-10-1"), budget_params=1)


def test_what_is_listed_can_be_built_and_costs_that(everything):
    teacher = create("wrn-10-1")
    assert len(everything) > 20
    for fit in everything:
        student = create(f"wrn-10-1+{fit.spec}")
        assert (fit.parameters, fit.macs) == (parameters(student), macs(student))
        assert fit.parameters_ratio == fit.parameters / parameters(teacher)
        assert fit.macs_ratio == fit.macs / macs(teacher)


def test_nothing_is_missing_and_nothing_is_there_twice(everything):
    assert len(specs()) == len(set(specs()))
    assert set(ORIGINAL) < set(specs())
    listed = {str(create(f"wrn-10-1+{fit.spec}")) for fit in everything}
    assert len(listed) == len(everything)
    missing = set(specs()) - {fit.spec for fit in everything}
    for spec in missing:
        try:
            student = substitute(create("wrn-10-1"), spec)
        except BadInput:
            continue
        assert str(student) in listed or parameters(student) > parameters(create("wrn-10-1")), spec
    assert {"G8B4", "G64B2"} < missing  # larger groups than its bottlenecks have channels


def test_of_two_names_for_the_same_layers_one_is_listed():
    teacher = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, padding=1))
    fits = within_budget(teacher, budget_params=1, input_shape=(3, 8, 8))
    listed = {fit.spec for fit in fits}
    assert {"DConv", "DConvG2", "G2B2", "DConvB4"} < listed  # the original's, the groups of which come first by size
    assert not listed & {"DConvA16", "DConvA8", "A4B2", "A4B4"}


def test_one_budget_or_both(everything):
    teacher = create("wrn-10-1")
    assert [fit.parameters for fit in everything] == sorted(fit.parameters for fit in everything)
    both = within_budget(teacher, budget_params=0.25, budget_macs=0.2)
    assert both == [fit for fit in everything if fit.parameters_ratio <= 0.25 and fit.macs_ratio <= 0.2]
    assert 0 < len(both) < sum(fit.parameters_ratio <= 0.25 for fit in everything)
    work = within_budget(teacher, budget_macs=0.2)
    assert {fit.spec for fit in work} == {fit.spec for fit in everything if fit.macs_ratio <= 0.2}
    assert [fit.macs for fit in work] == sorted(fit.macs for fit in work)


def test_into_another_architecture_on_other_images():
    teacher, into = create("wrn-16-1"), create("wrn-10-1")
    fit = within_budget(teacher, budget_params=0.1, into=into, input_shape=(3, 8, 8))[0]
    student = create(f"wrn-10-1+{fit.spec}")
    assert fit.parameters_ratio == parameters(student) / parameters(teacher)
    assert fit.macs_ratio == macs(student, (3, 8, 8)) / macs(teacher, (3, 8, 8))


def test_teacher_and_random_numbers_are_left_alone():
    teacher = create("wrn-10-1", seed=0)
    before, numbers = {name: value.clone() for name, value in teacher.state_dict().items()}, torch.get_rng_state()
    within_budget(teacher, budget_params=1, input_shape=(3, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert teacher.state_dict().keys() == before.keys()
    assert torch.equal(torch.get_rng_state(), numbers)


def test_nothing_fits(everything):
    smallest = everything[0]
    with pytest.raises(BadInput) as error:
        within_budget(create("wrn-10-1"), budget_params=0.001)
    assert str(error.value) == (
        f"no convolutions bring WideResNet to 0.001 of the parameters; nearest is {smallest.spec}: "
        f"{smallest.parameters_ratio:.3g} of the parameters"
    )


@pytest.mark.parametrize(
    ("budget", "problem"),
    [(0, "be positive"), (-0.5, "be positive"), (25, "be 1 or less"), (float("nan"), "be a finite number")],
)
@pytest.mark.parametrize("kind", ["budget_params", "budget_macs"])
def test_budgets_are_fractions(kind, budget, problem):
    with pytest.raises(BadInput, match=rf"^within_budget: {kind} must {problem}, not {budget}$"):
        within_budget(create("wrn-10-1"), **{kind: budget})


def test_no_budget():
    with pytest.raises(BadInput, match="no budget is given"):
        within_budget(create("wrn-10-1"))


def test_nothing_to_replace():
    with pytest.raises(BadInput, match="Sequential has no convolution to replace"):
        within_budget(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), budget_params=0.5, input_shape=(3, 8, 8))
