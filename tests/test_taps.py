import pytest
import torch
import torchvision
from torch import nn

from potstill.errors import BadInput
from potstill.taps import Taps, find


class Toy(nn.Module):
    """Two layers, an in-place activation between them, and a branch that may be left out."""

    aliases = {"stage1": "first", "pooled": "last:in"}

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.act = nn.ReLU(inplace=inplace)
        self.pair = nn.LSTM(5, 5)
        self.last = nn.Linear(5, 3)
        self.skip = True

    def forward(self, x):
        x = self.act(self.first(x))
        return self.last(x if self.skip else self.pair(x)[0])


@pytest.fixture
def images():
    return torch.randn(2, 4)


def test_records_outputs_inputs_aliases_and_logits(images):
    toy = Toy()
    values = Taps(toy, "toy", ["toy", "toy.first", "toy.last:in", "toy.stage1", "toy.pooled"])(images)
    hidden = toy.first(images)
    torch.testing.assert_close(values["toy.first"], hidden, rtol=0, atol=0)
    torch.testing.assert_close(values["toy.stage1"], hidden, rtol=0, atol=0)
    torch.testing.assert_close(values["toy.last:in"], hidden.relu(), rtol=0, atol=0)
    torch.testing.assert_close(values["toy.pooled"], hidden.relu(), rtol=0, atol=0)
    torch.testing.assert_close(values["toy"], toy(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("frist", "toy.first"),
        ("last:inn", "toy.last:in"),
        ("stage2", "toy.stage1"),
        ("first:out", "toy.first"),
        ("", ""),
    ],
)
def test_an_address_that_does_not_exist_names_the_nearest(path, nearest):
    with pytest.raises(BadInput, match=rf"no tap 'toy\.{path}'.*{nearest}"):
        find(Toy(), "toy", path)


def test_a_tap_that_did_not_fire_is_an_error(images):
    taps = Taps(Toy(), "toy", ["toy.pair"])
    with pytest.raises(RuntimeError, match="tap 'toy.pair' did not fire"):
        taps(images)


def test_nothing_is_kept_outside_a_run(images):
    toy = Toy()
    taps = Taps(toy, "toy", ["toy.first"])
    taps(images)
    toy(images)
    assert taps.recorded == {}


def test_a_module_that_returns_no_tensor_cannot_be_tapped(images):
    toy = Toy()
    toy.skip = False
    with pytest.raises(BadInput, match="'toy.pair' is a tuple"):
        Taps(toy, "toy", ["toy.pair"])(images)


def test_a_tap_that_is_overwritten_in_place_is_refused_and_a_safe_one_named(images):
    with pytest.raises(BadInput, match=r"'toy\.first' is overwritten .* tap 'toy\.act:in' instead"):
        Taps(Toy(inplace=True), "toy", ["toy.first"]).check(images)


def test_the_input_of_an_in_place_activation_is_safe_and_carries_gradients(images):
    toy, plain = Toy(inplace=True), Toy()
    plain.load_state_dict(toy.state_dict())
    taps = Taps(toy, "toy", ["toy.act:in"])
    taps.check(images)
    value = taps(images)["toy.act:in"]
    torch.testing.assert_close(value, plain.first(images), rtol=0, atol=0)
    value.square().sum().backward()
    plain.first(images).square().sum().backward()
    torch.testing.assert_close(toy.first.weight.grad, plain.first.weight.grad, rtol=0, atol=0)


def test_of_torchvisions_resnet18_exactly_the_overwritten_outputs_are_refused():
    network = torchvision.models.resnet18(num_classes=3).eval()
    images = torch.randn(1, 3, 32, 32)
    refused = []
    for path in [path for path, _ in network.named_modules() if path]:
        # fresh hooks each: one refusal would hide the others
        try:
            with torch.no_grad():
                Taps(network, "net", [f"net.{path}"]).check(images)
        except BadInput:
            refused.append(path)
    norms = [path for path, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    # Every batch norm's output is overwritten, by an in-place ReLU or by "out += identity",
    # but for those of the shortcuts, which are what is added.
    assert refused == [path for path in norms if "downsample" not in path]
    assert len(refused) == 17


@pytest.mark.parametrize("tap", ["net.first", "net.last:in"])
def test_taps_fire_in_code_compiled_before_the_hooks_were_there(tap, images):
    toy = Toy()
    toy.compile(backend="eager")
    toy(images)
    taps = Taps(toy, "net", [tap])
    torch.testing.assert_close(taps(images)[tap], Taps(Toy_like(toy), "net", [tap])(images)[tap])


def Toy_like(toy):  # noqa: N802
    copy = Toy()
    copy.load_state_dict(toy.state_dict())
    return copy
