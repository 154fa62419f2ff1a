import weakref

import pytest
import torch
import torchvision
from torch import nn

from potstill.errors import BadInput
from potstill.taps import Place, Taps, find


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
    with pytest.raises(BadInput, match="tap 'toy.pair' did not fire"):
        taps(images)


def test_nothing_is_kept_outside_a_run(images):
    toy = Toy()
    taps = Taps(toy, "toy", ["toy.first"])
    taps(images)
    toy(images)
    assert taps.recorded == {}


def test_a_module_that_returns_a_tuple_gives_its_first_tensor_or_a_part(images):
    toy = Toy()
    toy.skip = False
    values = Taps(toy, "toy", ["toy.pair", "toy#0.pair", "toy#1#0.pair"])(images)
    torch.testing.assert_close(values["toy.pair"], toy.pair(toy.first(images).relu())[0])
    assert torch.equal(values["toy.pair"], values["toy#0.pair"])
    torch.testing.assert_close(values["toy#1#0.pair"], toy.pair(toy.first(images).relu())[1][0])
    with pytest.raises(BadInput, match=r"no part 'toy#2' in a tuple; parts: toy#0, toy#1"):
        Taps(toy, "toy", ["toy#2.pair"])(images)


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


class Tokens(nn.Module):
    """Patches as tokens behind a class token, and, at the end, channels in the last place."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 2, stride=2)
        self.block = nn.Linear(6, 6)
        self.last = nn.Linear(6, 5)
        self.fc = nn.Linear(5, 4)
        self.aliases = {"stage1": "block"}

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = self.block(torch.cat([tokens.mean(1, keepdim=True), tokens], 1)).tanh()
        return self.fc(self.last(tokens[:, 1:].unflatten(1, (2, 4))).tanh().mean((1, 2)))


PICTURES = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("compiled", [False, True])
def test_tokens_are_tapped_as_maps(compiled):
    net = Tokens()
    taps = Taps(net, "net", ["net.stage1", "net.stage1:map", "net.block:map", "net.last:in:map", "net.last:map"])
    taps.check(PICTURES)
    if compiled:
        net.compile(backend="eager")
    values = taps(PICTURES)
    assert values["net.stage1"].shape == (2, 9, 6)
    assert torch.equal(values["net.stage1:map"].flatten(2), values["net.stage1"][:, 1:].transpose(1, 2))
    assert torch.equal(values["net.block:map"], values["net.stage1:map"])
    assert torch.equal(values["net.last:in:map"], values["net.stage1:map"].tanh())
    assert values["net.last:map"].shape == (2, 5, 2, 4)
    values["net.stage1:map"].square().sum().backward()
    assert net.block.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("tap", ["net.block:map", "net.last:in:map", "net.last:map", "net.embed:map"])
def test_logits_are_differentiated_by_a_map_if_images_require_a_gradient(tap, compiled):
    net = Tokens()
    taps = Taps(net, "net", ["net", tap])
    plain = taps(PICTURES)
    if compiled:
        net.compile(backend="eager")
    values = taps(PICTURES.clone().requires_grad_())
    torch.testing.assert_close(values, plain)
    (gradient,) = torch.autograd.grad(values["net"].sum(), values[tap], create_graph=True)
    assert gradient.shape == values[tap].shape
    assert gradient.abs().sum() > 0
    gradient.square().sum().backward()
    assert net.fc.weight.grad.abs().sum() > 0


def test_the_images_that_a_map_is_laid_out_like_are_those_the_network_gets():
    net = Tokens()
    net.register_forward_pre_hook(lambda _, args: (nn.functional.interpolate(args[0], (4, 8)),))
    taps = Taps(net, "net", ["net.block:map"])
    assert taps(torch.randn(2, 3, 32, 32))["net.block:map"].shape == (2, 6, 2, 4)


def test_a_map_of_an_overwritten_tensor_is_refused_too():
    net = Toy(inplace=True)
    with pytest.raises(BadInput, match=r"'toy\.first:map' is overwritten .* tap 'toy\.act:in' instead"):
        Taps(net, "toy", ["toy.first:map"]).check(torch.randn(2, 4, 4))


def test_what_is_no_map_says_where():
    with pytest.raises(BadInput, match=r"^tap 'net\.fc:map': no map can be made of a tensor of shape \(2, 4\)"):
        Taps(Tokens(), "net", ["net.fc:map"])(PICTURES)
    with pytest.raises(BadInput, match=r"no tap 'net\.blok:map'.*nearest: net\.block"):
        find(Tokens(), "net", "blok:map")


def test_an_alias_may_be_of_a_map():
    net = Tokens()
    net.aliases = {"stage1": "block:map"}
    assert find(net, "net", "stage1") == Place("block", at_input=False, as_map=True)


def test_the_network_gets_the_images_themselves_unless_it_changes_them(images):
    class Keeps(nn.Module):
        def forward(self, x):
            self.given = x
            return x * 2

    net = Keeps()
    taps = Taps(net, "net", ["net"])
    taps.check(images)
    taps(images)
    assert net.given is images


def test_a_parameter_is_an_address(images):
    toy = Toy()
    taps = Taps(toy, "toy", ["toy.last.weight", "toy"])
    assert taps.parameters()["toy.last.weight"] is toy.last.weight
    assert list(taps(images)) == ["toy"]
    assert find(toy, "toy", "last.weight") == Place("last.weight", at_input=False, as_map=False, is_parameter=True)
    near = r"toy\.last\.weight, toy\.first\.weight, toy\.last\.bias"
    with pytest.raises(BadInput, match=rf"no tap 'toy\.last\.wieght'.*nearest: {near}$"):
        find(Toy(), "toy", "last.wieght")


class Takes(nn.Module):
    """Calls a submodule by keyword, as networks of `transformers` do."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(4, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(input=self.inside(input=x))


def test_inputs_given_by_keyword_are_tapped(images):
    torch.manual_seed(0)  # of the weights: some of what flows into the activation is negative
    net = Takes()
    values = Taps(net, "net", ["net.inside:in", "net.act:in"])(images)
    assert torch.equal(values["net.inside:in"], images)
    assert values["net.act:in"].min() < 0


def test_an_input_given_by_keyword_carries_gradients_of_the_logits():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

        def forward(self, images):
            return self.head(input=self.block(images)).mean((2, 3))

    pictures = torch.randn(2, 3, 8, 8).requires_grad_()
    values = Taps(Keyword(), "net", ["net", "net.head:in:map"])(pictures)
    (gradient,) = torch.autograd.grad(values["net"].sum(), values["net.head:in:map"])
    assert gradient.shape == (2, 4, 6, 6)
    assert gradient.norm() > 0


WRAPPERS = {
    "data parallel": nn.DataParallel,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled in place": lambda net: net.compile(backend="eager") or net,
    "both": lambda net: torch.compile(nn.DataParallel(net), backend="eager"),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("ran", [False, True], ids=["fresh", "ran before"])
def test_wrapped_networks_are_looked_through(wrap, ran, images):
    toy = Toy()
    expected = Taps(Toy_like(toy), "net", ["net", "net.stage1", "net.last:in"])(images)
    wrapped = wrap(toy)
    if ran:
        wrapped(images)
    taps = Taps(wrapped, "net", ["net", "net.stage1", "net.last:in", "net.last.weight"])
    torch.testing.assert_close(taps(images), expected)
    assert taps.parameters()["net.last.weight"] is toy.last.weight


def test_closed_taps_leave_no_hook():
    net = Tokens()
    taps = Taps(net, "net", ["net.stage1:map", "net.fc:in"])
    taps.check(PICTURES)
    assert any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    taps.close()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_the_check_keeps_no_tensor_that_is_not_tapped():
    """Otherwise every activation of a large network would be in memory at once."""
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(50)))
    alive, most = [], 0

    def count(_, args, output):
        nonlocal most
        alive.append(weakref.ref(output))
        most = max(most, sum(ref() is not None for ref in alive))

    for layer in net:
        layer.register_forward_hook(count)
    with torch.no_grad():
        Taps(net, "net", ["net.3"]).check(torch.randn(2, 4))
    assert most <= 4
