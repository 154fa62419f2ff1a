from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch

from potstill.errors import BadInput
from potstill.outputs import logits_of, part_of, parts

A, B = torch.zeros(2, 3), torch.ones(2, 5)
Heads = namedtuple("Heads", ["logits", "aux"])


@dataclass
class Output:
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None
    hidden: tuple | None = None


@pytest.mark.parametrize(
    "output",
    [
        A,
        (A,),
        [A, B],
        (A, {"more": B}),
        {"features": B, "logits": A},
        OrderedDict(loss=None, logits=A),
        {"out": A},
        {"out": A, "same": A},
        Heads(A, B),
        Output(logits=A, features=B),
        Output(features=A),
        ((A, B), [B]),
        ((None, {"logits": A}), [B]),
        [(None, "a"), [A, B]],
        {"output": {"logits": A, "hidden": B}},
        {"output": {"only": A}, "hidden": None},
    ],
)
def test_the_bare_name_stands_for_the_logits(output):
    assert logits_of(output) is A


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"pooler_output": A, "last_hidden_state": B}, r"say student#pooler_output, student#last_hidden_state"),
        (Output(hidden=(A, B)), r"an Output of several tensors, .* say student#hidden#0, student#hidden#1"),
        ({"a": {"b": A}, "c": [B]}, "a dict of several tensors, .* say student#a#b, student#c#0"),
        ("text", "a str without a tensor in it"),
        (None, "None without a tensor in it"),
        ((), "a tuple without a tensor"),
    ],
)
def test_what_has_no_logits_says_what_it_has(output, message):
    with pytest.raises(BadInput, match=rf"^student returns .*{message}"):
        logits_of(output, "student")


@pytest.mark.parametrize(
    ("output", "path", "expected"),
    [
        ((A, B), "1", B),
        ({"pooler_output": B, "x": A}, "pooler_output", B),
        (Heads(A, B), "aux", B),
        (Heads(A, B), "1", B),
        (Output(hidden=(A, B)), "hidden#1", B),
        ({"deep": [{"er": B}]}, "deep#0#er", B),
    ],
)
def test_parts_are_found_by_name_and_number(output, path, expected):
    assert part_of(output, path, "net") is expected


@pytest.mark.parametrize(
    ("output", "path", "message"),
    [
        ((A, B), "2", r"no part 'net#2' in a tuple; parts: net#0, net#1"),
        ({"pooler_output": B}, "poler_output", r"no part 'net#poler_output'.*parts: net#pooler_output"),
        (Output(hidden=(A, B)), "hidden", r"net#hidden is a tuple, not a tensor; parts: net#hidden#0, net#hidden#1"),
        (A, "1", r"no part 'net#1' in a Tensor; it has no parts"),
        (Output(logits=None), "logits", "no part 'net#logits' in a Output; it has no parts"),
    ],
)
def test_a_part_that_is_not_there_names_the_nearest(output, path, message):
    with pytest.raises(BadInput, match=message):
        part_of(output, path, "net")


def test_parts_that_are_none_are_none():
    assert list(parts(Output(features=A))) == ["features"]


def test_outputs_of_transformers_like_classes():
    class ModelOutput(OrderedDict):
        """As transformers has it: a dictionary whose entries are attributes too, None left out."""

    output = ModelOutput(logits=A, hidden_states=(A, B))
    assert logits_of(output) is A
    assert part_of(output, "hidden_states#1", "teacher") is B
