"""B1, B6, A5, C11: every argument of every public constructor and function has a check, and wrong values meet it."""

import collections.abc
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor, nn

import potstill as ps
from potstill import checked, losses, networks, recipes, schedules, selection, teacher
from potstill.commands import describe, evaluate, table
from potstill.errors import BadInput
from potstill.feature_teachers import FeatureTeachers
from potstill.networks.acdc import ACDC
from potstill.networks.built_in import BUILT_IN
from potstill.networks.cheap import OverChannels, cheap
from potstill.networks.resnet_cifar import CifarResNet
from potstill.networks.wide_resnet import WideResNet
from potstill.ranges import Range

INTERNAL = {
    "potstill.losses.class_gradient.class_gradient": "losses give it a constant",
    "potstill.losses.branch.kernel_for": "the place of a map",
    "potstill.losses.branch.make_branch": "the channels of maps",
    "potstill.losses.byot.feature_distance": "tensors only",
    "potstill.losses.catkd.check_pooled": "what is tapped",
    "potstill.losses.connector.make_connector": "the channels of maps",
    "potstill.losses.class_lists.draw_by_class": "what CRD has checked",
    "potstill.losses.memory_bank.draw_others": "what CRD has checked",
    "potstill.losses.memory_bank.draw_outside": "what CRD has checked",
    "potstill.losses.memory_bank.update": "what CRD has checked",
    "potstill.losses.catkd.class_maps": "tensors only",
    "potstill.losses.connector.make_align": "the channels of maps",
    "potstill.losses.denoising.denoise": "tensors, and what DiffKD has checked",
    "potstill.losses.denoising.Bottleneck": "the channels of maps",
    "potstill.losses.denoising.NoiseLevel": "the channels of maps",
    "potstill.losses.denoising.Denoiser": "the channels of maps",
    "potstill.losses.maskd.MaskLearning": "what masked makes: masks, and a part of the teacher",
    "potstill.losses.mgd.make_generator": "the channels of maps",
    "potstill.losses.simkd.make_transfer": "the channels of maps, and what SimKD has checked",
    "potstill.losses.vkd.OrthogonalLinear": "the widths of features",
    "potstill.losses.wkdf.cells": "maps, and what WKDF has checked",
    "potstill.losses.centred.centred": "a dimension that losses name",
    "potstill.losses.kd.divergences": "what losses have checked",
    "potstill.losses.kdcl.least_logits": "logits of any number of networks",
    "potstill.losses.labels.class_indices": "a reason, for a message",
    "potstill.losses.ofa_head.make_head": "the channels of maps, and what OFA has checked",
    "potstill.losses.unit_length.unit_length": "losses leave it its default",
    "potstill.losses.projector.projector": "tensors, and what losses have checked",
    "potstill.losses.projector.side_by_side": "tensors, a module and a loss's name",
    "potstill.losses.similarities.similarity_kl": "what losses have checked",
    "potstill.losses.sskd.least_wrong": "what SSKD has checked",
    "potstill.losses.reviewkd.Fusion": "the channels of maps, and what ReviewKD has checked",
    "potstill.losses.fsp.flow": "tensors only",
    "potstill.losses.loss.float32_at_least": "anything is allowed",
}
"""What is public by its name alone: nobody but the package calls it, with this."""


def in_losses() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public class and function in the files of the losses."""
    for found in pkgutil.iter_modules(losses.__path__):
        module = importlib.import_module(f"potstill.losses.{found.name}")
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__ or name.startswith("_"):
                continue
            makes = inspect.isclass(value) and "__init__" in vars(value)
            if makes or (inspect.isfunction(value) and not only_tensors(value)):
                yield f"{module.__name__}.{name}", value


def only_tensors(function: Callable[..., Any]) -> bool:
    return all(hint is Tensor for name, hint in get_type_hints(function).items() if name != "return")


PUBLIC: dict[str, Callable[..., Any]] = {
    **{name: value for name, value in in_losses() if name not in INTERNAL},
    **{
        f"schedules.{name}": getattr(schedules, name)
        for name in ("cosine", "from_epoch", "late_cosine", "linear", "milestones", "ramp")
    },
    "schedules.warmup": schedules.warmup,
    "Term": ps.Term,
    **{f"networks.{function.__name__}": function for function in BUILT_IN.values()},
    **{f"networks.{name}": getattr(networks, name) for name in ("create", "share", "split_stages", "substitute")},
    **{f"networks.{name}": getattr(networks, name) for name in ("keep_weights", "reasons_to_stay", "within_budget")},
    **{f"networks.{name}": getattr(networks, name) for name in ("latencies", "latency", "layers", "macs")},
    "networks.cheap": cheap,
    "networks.ACDC": ACDC,
    "networks.OverChannels": OverChannels,
    "networks.CifarResNet": CifarResNet,
    "networks.WideResNet": WideResNet,
    **{f"recipes.{name}": getattr(recipes, name) for name in recipes.__all__},
    **{kind.__name__: kind for kind in (selection.Source, selection.Reading, selection.Subset, selection.Selection)},
    **{kind.__name__: kind for kind in (teacher.Teacher, teacher.OptionalTeacher, teacher.Teachers, ps.Training)},
}
COMMANDS = {"table": table, "describe": describe, "evaluate": evaluate}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    if is_dataclass(function):
        found = get_type_hints(function, include_extras=True)
        return {field.name: found[field.name] for field in fields(function)}
    found = get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
    names = [n for n, p in inspect.signature(function).parameters.items() if p.kind is not p.VAR_POSITIONAL]
    return {name: found[name] for name in names}


def wrong(kind: Any) -> list[object]:
    """Values that are not of an annotation; none if it promises nothing."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        (limits,) = (of for of in inner[1:] if isinstance(of, Range))
        over = limits.most * 1.01 if inner[0] is float else int(limits.most) + 1
        under = limits.least - 1 if inner[0] is int else limits.least - abs(limits.least) - 1e-3
        return [*wrong(inner[0]), over, under, 10**400, -(10**400), 10**5000, 1e400, -1e400]
    if origin in (Union, UnionType):
        options = [option for option in inner if option is not NoneType]
        bad = [value for option in options for value in wrong(option)]
        return [value for value in bad if all(checked.problem_of(value, option) for option in options)]
    if origin is Literal:
        return [f"{inner[0]}x", "", "nonsense", 2.5, True, b"mean", ["mean"]]
    if kind is bool:
        return ["false", "True", 0, 1, 1.0, "", []]
    if kind in (int, float):
        more: list[object] = [2.5, 3.0] if kind is int else [float("inf")]
        return [float("nan"), True, "3", "", [3], b"3", 1j, *more]
    if origin in (tuple, list, collections.abc.Sequence):
        return ["text", 5, *([value] for value in wrong(inner[0]))]
    if origin is collections.abc.Callable:
        return ["text", 5]
    return [object(), [object()]] if inspect.isclass(kind) else []


def right(kind: Any) -> object:
    """Some value of an annotation, for arguments that have no default."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        (limits,) = (of for of in inner[1:] if isinstance(of, Range))
        return max(limits.least, 1)
    if origin in (Union, UnionType):
        return right(inner[0])
    if origin is Literal:
        return inner[0]
    if origin in (tuple, list, collections.abc.Sequence):
        return tuple(right(item) for item in inner if item is not ...)
    if origin is collections.abc.Callable:
        return print
    made: dict[object, object] = {FeatureTeachers: FeatureTeachers(("runs/x",))}
    made |= {str: "resnet8", Tensor: torch.zeros(1), nn.Module: nn.Identity(), Path: Path("x"), bool: True}
    return made[kind] if kind in made else kind("runs/x")


CASES = [
    pytest.param(function, argument, kind, id=f"{name}({argument})")
    for name, function in {**PUBLIC, **COMMANDS}.items()
    for argument, kind in hints_of(function).items()
]


@pytest.mark.parametrize(("function", "argument", "kind"), CASES)
def test_every_argument_has_a_check_that_wrong_values_meet(function, argument, kind):
    values = wrong(kind)
    assert values, "an annotation that promises nothing"
    hints = hints_of(function)
    needed = {
        name: right(hints[name])
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    }
    if argument == "teachers" and kind is not FeatureTeachers:
        needed["teacher"] = ("resnet8", "resnet14")  # of one it does not matter
    for value in values:
        with pytest.raises(BadInput) as caught:
            call(function, {**needed, argument: value})
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        assert argument in message or f"--{argument.replace('_', '-')}" in message


def call(function: Callable[..., Any], given: dict[str, Any]) -> None:
    if function in COMMANDS.values():  # checked where a command line's words become arguments
        hints = get_type_hints(function, include_extras=True)
        checked.check_arguments(given, hints, inspect.signature(function))
    else:
        function(**given)


def test_numbers_have_ranges_and_annotations_are_there():
    for name, function in {**PUBLIC, **COMMANDS}.items():
        for argument, kind in hints_of(function).items():
            assert not bare_number(kind), f"{name}({argument}) takes any number"


def bare_number(kind: Any) -> bool:
    if get_origin(kind) in (Annotated, collections.abc.Callable):
        return False
    return kind in (int, float) or any(bare_number(inner) for inner in get_args(kind) if inner is not ...)


def test_what_is_internal_exists():
    assert set(INTERNAL) <= {name for name, _ in in_losses()} | {"potstill.losses.fsp.flow"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.KD(reduction="elementmeen"), "KD: reduction is 'elementmeen'; did you mean 'elementmean'?"),
        (lambda: losses.AT(channels="avg"), "AT: channels is 'avg'; known: 'mean', 'sum'"),
        (lambda: losses.KD(guided="false"), "KD: guided must be True or False, not 'false'"),
        (lambda: losses.AT(p=0), "AT: p must be 1 or more, not 0"),
        (lambda: losses.CRD(negatives=0), "CRD: negatives must be 1 or more, not 0"),
        (lambda: losses.CRD(negatives=10**7), "CRD: negatives must be 1,000,000 or less, not 10000000"),
        (lambda: losses.FT(factor=0), "FT: factor must be positive, not 0"),
        (lambda: losses.FT(p=True), "FT: p is True; known: 1, 2"),
        (lambda: losses.DIST(0, 0), "DIST: both weights are 0"),
        (lambda: losses.DKD(0, 0), "DKD: both weights are 0"),
        *(
            (lambda loss=loss: loss(alpha=0, beta=0), "both weights are 0")
            for loss in (losses.RLD, losses.SKD, losses.WKDL)
        ),
        (lambda: losses.USKD(0, 0, 0), "USKD: all weights are 0"),
        (lambda: losses.DISTPlus(0, 0, 0, 0), "DISTPlus: all weights are 0"),
        (lambda: losses.CTKD(decoupled=True, alpha=0, beta=0), "CTKD: both weights of DKD are 0"),
        (lambda: losses.SDD(scales=[2, 4]), "SDD: scales must begin with 1, the whole image, not be [2, 4]"),
        (lambda: losses.FunctionMatching("l2", 2.0), "FunctionMatching: temperature is of distance 'kl'"),
        (lambda: losses.CE(reduction="none"), "CE: reduction is 'none'; known: 'mean', 'sum'"),
        (lambda: losses.OFD(margin=[float("inf")]), "OFD: margin must be a finite number, not inf"),
        (lambda: losses.KD(10**5000), "KD: temperature must be 10000 or less, not a number of about 5,000 digits"),
        (lambda: ps.Term(losses.CE(), "student", "labels", weight=float("nan")), "weight must be a finite number"),
        (lambda: ps.Term(losses.CE(), "student", "labels", weight=-1), "Term: weight must be 0 or more, not -1"),
        (lambda: ps.Term("CE", "student"), "Term: loss must be a function, not 'CE'"),
        (lambda: ps.Term(losses.CE(), ()), "needs an address"),
        (lambda: schedules.milestones(1, [5, 3], 0.1), "milestones: at must be 100 epochs at most, in order"),
        (lambda: schedules.late_cosine(1, 9, 9), "late_cosine: start 9 is not before the last of 9 epochs"),
        (lambda: schedules.warmup(1, 0), "warmup: epochs must be 1 or more, not 0"),
        (lambda: ps.Training(milestones=(5, 3)), "--milestones must be in order, not 5, 3"),
        (lambda: ps.Training(schedule="cosine", milestones=(1,)), "--milestones 1 are for --schedule milestones"),
        (lambda: ps.Training(seed=2**63), "--seed must be 9,223,372,036,854,775,807 or less"),
        (lambda: recipes.mutual(networks="resnet8"), "--networks must be a list, not 'resnet8'"),
    ],
)
def test_messages_name_the_argument_and_the_nearest_value(make, message):
    with pytest.raises(BadInput) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 10**400, "1", None, True])
def test_what_a_schedule_gives_is_a_weight_too(weight):
    term = ps.Term(losses.CE(), "student", "labels", weight=lambda epoch: weight)
    with pytest.raises(BadInput, match="^term 'CE student': its weight in epoch 3 must be"):
        term.weight_at(3)


def test_a_schedule_that_fails_is_its_authors():
    term = ps.Term(losses.CE(), "student", "labels", weight=lambda epoch: 1 / (epoch - 3))
    with pytest.raises(BadInput, match="its weight in epoch 3 failed: ZeroDivisionError"):
        term.weight_at(3)


def test_checked_constructors_are_what_they_were():
    assert list(inspect.signature(losses.KD).parameters) == [
        "temperature",
        "reduction",
        "guided",
        "standardize",
        "hard",
    ]
    loss = losses.KD(temperature=2, guided=True)
    for copy in (deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert (copy.temperature, copy.guided) == (2, True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        losses.KD(temprature=2)


def test_what_annotations_do_not_say_is_not_refused():
    @checked.checked
    def anything(value: Any, other, *rest: int, named: "dict[str, int] | None" = None, **more: int) -> tuple[Any, ...]:
        return value, other, rest, named, more

    assert anything(1, "2", "3", named=None, word="4") == (1, "2", ("3",), None, {"word": "4"})
