"""Teachers of other classes, by a map."""

import json

import pytest
import torch
from torch import nn

import potstill as ps
from potstill.answers.key import of_network
from potstill.errors import BadInput
from potstill.export.rebuild import rebuild
from potstill.network_input import Input
from potstill.networks.identity import identity
from potstill.networks.label_map import groups_of, map_classes, read_label_map

OWN = ("tabby", "husky", "tiger cat", "crane", "crane", "7")
CLASSES = ("cat", "dog")


class Table(nn.Module):
    """Answers image i with row i of a table of logits."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images):
        return self.logits[: len(images)]


def written(path, content):
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.json", json.dumps({"dog": "husky", "cat": ["tabby", 2]})),
        ("map.csv", "class,teacher\ndog,husky\ncat,tabby\n\ncat,2\n"),
        ("map.csv", 'cat,tabby\ncat,"tiger cat"\ndog,1'),
    ],
)
def test_classes_are_named_or_numbered(name, content, tmp_path):
    file = written(tmp_path / name, content)
    assert groups_of(read_label_map(file), CLASSES, OWN, file) == [[0, 2], [1]]


def test_the_first_of_several_names_will_do(tmp_path):
    file = written(tmp_path / "map.json", '{"cat": "tench", "dog": "goldfish, Carassius auratus"}')
    own = ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert groups_of(read_label_map(file), CLASSES, own, file) == [[0], [1]]


def test_a_name_that_is_a_number_is_a_name(tmp_path):
    file = written(tmp_path / "map.json", '{"cat": "7", "dog": 1}')
    assert groups_of(read_label_map(file), CLASSES, OWN, file) == [[5], [1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"cat": "taby", "dog": 1}', "unknown class of the teacher in --label-map .* 'taby'; did you mean tabby"),
        ('{"cats": 0, "dog": 1}', "unknown class in --label-map .* 'cats'; did you mean cat"),
        ('{"cat": 0}', "says of 1 classes nothing, such as 'dog'"),
        ('{"cat": [0, 1], "dog": 1}', "the teacher's class 'husky' is of 'cat' and of 'dog'"),
        ('{"cat": [0, 0], "dog": 1}', "the teacher's class 'tabby' is of 'cat' and of 'cat'"),
        ('{"cat": "crane", "dog": 1}', "2 classes of the teacher are called 'crane': say 3, 4"),
        ('{"cat": 6, "dog": 1}', "the teacher has 6 classes, no number 6"),
        ('{"cat": [], "dog": 1}', "'cat' has neither names nor numbers"),
        ('{"cat": true, "dog": 1}', "'cat' has neither names nor numbers"),
        ("[1]", "is no object of classes"),
        ("{", "is no JSON"),
        ("{}", "names no class"),
    ],
)
def test_what_is_wrong_with_a_map_is_said(content, message, tmp_path):
    file = written(tmp_path / "map.json", content)
    with pytest.raises(BadInput, match=message):
        groups_of(read_label_map(file), CLASSES, OWN, file)
    with pytest.raises(BadInput, match="is no file"):
        read_label_map(tmp_path / "none.json")
    with pytest.raises(BadInput, match="line 2 is no pair"):
        read_label_map(written(tmp_path / "map.csv", "cat,tabby\ndog"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_probability_of_a_group_is_the_sum_of_its_members(dtype):
    drawn = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = (3 * drawn).to(dtype).double()
    network = Table(logits.to(dtype))
    map_classes(network, [[0, 2], [1], [5, 4, 3]])
    found = network(torch.zeros(4, 1))
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    p = logits.softmax(1)
    expected = torch.stack([p[:, 0] + p[:, 2], p[:, 1], p[:, 3:].sum(1)], dim=1)
    torch.testing.assert_close(found.double().softmax(1), expected, rtol=1e-5, atol=1e-6)


def test_classes_of_no_group_do_not_count():
    network = Table(torch.tensor([[0.0, 1.0, 50.0]]))
    map_classes(network, [[1], [0]])
    assert network(torch.zeros(1, 1)).tolist() == [[1.0, 0.0]]


def test_a_mapped_network_is_another_one_and_can_be_made_again():
    plain = ps.networks.create("resnet8", classes=6, seed=0).eval()
    mapped = ps.networks.create("resnet8", classes=6, seed=0).eval()
    map_classes(mapped, [[0, 2], [1]])
    assert mapped.state_dict().keys() == plain.state_dict().keys()
    assert of_network(mapped) != of_network(plain)
    kept = json.loads(json.dumps(identity(mapped)))
    assert kept["label_map"] == [[0, 2], [1]]
    again = rebuild(kept, Input())
    again.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(again(images), mapped(images))
    mean = ps.networks.MeanOfLogits([mapped, again]).eval()
    assert torch.allclose(mean(images), mapped(images))
