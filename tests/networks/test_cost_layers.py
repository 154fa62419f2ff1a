import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import conv_parameters, create, layers, macs, parameters


def hooks(network):
    return [h for m in network.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("resnet20a", 32),
        ("wrn-16-1+DConv3D", 32),
        ("timm:vit_tiny_patch16_224", 224),  # attention, a class token that no module holds
        ("timm:convnext_atto", 64),
        ("torchvision:densenet121", 64),
        ("torchvision:swin_t", 64),  # attention out of functions alone
        ("torchvision:vit_b_32", 224),  # nn.MultiheadAttention
    ],
)
def test_every_parameter_and_multiply_add_belongs_to_one_layer(spec, size):
    network, shape = create(spec), (3, size, size)
    rows = layers(network, shape)
    assert sum(row.parameters for row in rows) == parameters(network)
    assert sum(row.macs for row in rows) == macs(network, shape) > 0
    assert len({row.path for row in rows}) == len(rows)
    assert not any(row.shared for row in rows)
    for row in rows:
        assert row.kind == type(network.get_submodule(row.path)).__name__


def by_hand(module, inputs, output):
    """Multiply-adds of one layer from its weight and its output, for one image."""
    if isinstance(module, nn.Linear):
        return module.weight.numel()
    if isinstance(module, nn.Conv3d):  # one that slides over the channels, of which the output is the mean
        return module.weight[0].numel() * output.numel() * inputs[0].shape[1]
    if isinstance(module, nn.Conv2d):
        window = module.kernel_size[0] * module.kernel_size[1]
        return output.numel() * window * module.in_channels // module.groups
    return 0


@pytest.mark.parametrize("spec", ["wrn-10-1+G4B2", "wrn-10-1+Conv2x2", "wrn-10-1+DConv3D", "torchvision:mobilenet_v2"])
def test_groups_dilation_and_3d_convolutions_against_counts_by_hand(spec):
    network, seen = create(spec).eval(), {}
    for path, module in network.named_modules():
        module.register_forward_hook(lambda m, args, out, path=path: seen.update({path: by_hand(m, args, out)}))
    network(torch.zeros(1, 3, 32, 32))
    rows = layers(network)
    assert {row.path: row.macs for row in rows} == {row.path: seen[row.path] for row in rows}
    assert sum(row.macs for row in rows) == sum(seen.values())


class Functional(nn.Module):
    """A parameter and a matrix product of its own beside a layer's."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(5, 12))
        self.inner = nn.Linear(12, 12)

    def forward(self, x):
        return self.inner(x) @ self.mix.T, "not a tensor"


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.part = Functional()
        self.never = nn.Linear(7, 7)

    def forward(self, images):
        return self.part(self.flatten(images))[0]


def test_functions_belong_to_the_innermost_module_that_calls_them():
    rows = {row.path: row for row in layers(Whole(), (3, 2, 2))}
    assert set(rows) == {"part", "part.inner", "never"}
    assert (rows["part"].macs, rows["part"].parameters, rows["part"].output) == (60, 60, (1, 5))
    assert (rows["part.inner"].macs, rows["part.inner"].parameters) == (144, 156)
    assert (rows["never"].macs, rows["never"].parameters, rows["never"].output) == (0, 56, None)


def test_attention_belongs_to_its_module_and_the_class_token_to_the_network():
    rows = {row.path: row for row in layers(create("torchvision:vit_b_32"), (3, 224, 224))}
    assert rows[""].parameters == 768
    block = rows["encoder.layers.encoder_layer_0.self_attention"]
    tokens, width = 50, 768
    assert block.macs == 4 * tokens * width * width + 2 * tokens * tokens * width
    inside = rows["encoder.layers.encoder_layer_0.self_attention.out_proj"]
    assert (inside.macs, inside.parameters) == (0, width * width + width)  # its weight is used, but not itself


def test_shared_parameters_count_where_they_come_first():
    first, tied = nn.Linear(12, 12), nn.Linear(12, 12)
    tied.weight = first.weight
    network = nn.Sequential(nn.Flatten(), first, tied, first)
    rows = {row.path: row for row in layers(network, (3, 2, 2))}
    assert set(rows) == {"1", "2"}
    assert (rows["1"].parameters, rows["1"].shared) == (156, 0)
    assert (rows["2"].parameters, rows["2"].shared) == (12, 144)
    assert (rows["1"].macs, rows["2"].macs) == (288, 144)  # the first runs twice
    assert sum(row.parameters for row in rows.values()) == parameters(network)


def test_the_network_is_left_without_hooks_also_if_it_fails():
    network = create("resnet8")
    layers(network)
    assert not hooks(network)
    with pytest.raises(BadInput, match=r"^CifarResNet cannot take an image of shape \(1, 32, 32\)"):
        layers(network, (1, 32, 32))
    assert not hooks(network)
    assert network.training


@pytest.mark.parametrize("name", ["Conv", "G8B2", "Conv2x2", "DConvB4", "DConv3D"])
def test_parameters_of_convolutions_alone(counts, name):
    spec = "wrn-16-2" if name == "Conv" else f"wrn-16-2+{name}"
    assert conv_parameters(create(spec)) == counts["moonshine"][f"wrn-16-2.{name}"]["parameters_conv"]
