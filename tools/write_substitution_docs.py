"""Write docs/substitution.md: the rule, the notation, and what cheap convolutions save in networks from elsewhere.

    python tools/write_substitution_docs.py [docs/substitution.md]

Run it after every change of the rule or of a type of convolution; a test compares.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, macs, parameters, reasons_to_stay, substitute
from potstill.networks.cheap import __doc__ as NOTATION

PAGE = Path(__file__).resolve().parents[1] / "docs" / "substitution.md"
SPECS = ("DConv", "G8B2")
ARCHITECTURES = (
    *("torchvision:resnet18", "timm:resnet26d", "timm:skresnet18", "timm:res2net50_26w_4s", "timm:gernet_s"),
    *("torchvision:densenet121", "torchvision:vgg11_bn", "torchvision:squeezenet1_1", "timm:inception_v3"),
    *("timm:convnext_atto", "timm:tf_efficientnetv2_b0", "timm:efficientnet_es", "timm:mobilenetv4_conv_small"),
    *("timm:mobilevit_xxs", "timm:dla46_c", "timm:hrnet_w18_small", "timm:darknet17", "timm:repvgg_a0"),
    *("timm:selecsls42b", "timm:ese_vovnet19b_slim"),
)
NOTHING_TO_REPLACE = (
    *("torchvision:mobilenet_v2", "torchvision:mnasnet0_5", "torchvision:shufflenet_v2_x0_5", "timm:regnety_002"),
    *("torchvision:resnext50_32x4d", "timm:nf_resnet26", "timm:resnetv2_50x1_bit"),
)

INTRODUCTION = """\
# Cheap convolutions in any network

A student of Moonshine has its teacher's architecture, with cheap convolutions in the place of the spatial ones:
`potstill moonshine --teacher runs/teacher --conv G8B2`. A network that is named `NETWORK+CONV`, such as
`timm:resnet26d+DConv`, has them wherever a network is named; in Python, `potstill.networks.substitute(network,
"G8B2")`.

## Which convolutions are replaced

Those whose window is larger than 1 x 1, but for

- the stem, which is the network's first convolution;
- those in groups, depthwise ones included: they are cheap already;
- those that compute in a way of their own, such as timm's `StdConv2d`, whose standardised weights no cheap type has.
  timm's `Conv2dSame` is replaced by what pads as it does.

A pattern, as for file names, chooses others: `substitute(network, "DConv", "layer4.*")` replaces all spatial ones
whose path matches, stem and groups included. `reasons_to_stay(network, pattern)` says of each convolution why it
stays.

Channels, stride, padding and dilation stay as they are, so residual shapes do; the groups of one that a pattern chose
do not. `substitute` changes the network in place: the new layers start afresh and the others keep their weights
(`keep="1x1"`, the default), or start afresh too (`keep=None`). The student of `potstill moonshine` starts afresh, or
with `--keep-weights 1x1` from the teacher's weights wherever a layer is not replaced.

## Types of convolutions
"""

BLOCKS = """\
The numbers can be any. In `G8B2` and `DConvG8`, 8 is the number of channels in a group; in `A8B2` and `DConvA8`, the
number of groups. A type that does not fit a layer is refused, with the layer, its channels and the nearest type that
fits all layers.

Wide ResNets come with the original's other blocks, too: `wrn-16-2-old` has post-activation blocks, `wrn-16-2-bottle`
has one convolution a block. The original's ImageNet networks are `resnet18` and `resnet34`. `wrn-40-2-split2` has
every group in two stages, which makes more maps for attention transfer; `potstill moonshine --split 2` splits both
networks so, and `potstill.networks.split_stages` any network whose stages are sequences of blocks.

## What it saves, and finding what fits

`potstill describe wrn-40-2 --conv G8B2` puts the network and its student side by side: parameters, parameters of
convolutions, multiply-adds, and their ratios. `--layers` lists every layer of the student. `--latency` also measures
both networks on this machine, in turns, at batch 1 and 64: medians with quartiles, and the ratio taken round by round.
Fewer multiply-adds need not mean less time: grouped and depthwise convolutions often reach a lower share of the
hardware's speed. So look at the measured ratio before choosing.

To start from a budget instead:

```sh
potstill moonshine --teacher wrn-40-2 --budget-params 0.25 --budget-macs 0.2
```

lists every convolution of the grammar that can be built for this teacher and keeps both budgets, cheapest first,
without weights, data or training. A budget is a fraction of the teacher's cost. All specs of the original are tried,
and all others with groups of 2 to 64 channels, 2 to 64 groups, and bottlenecks of 1/2, 1/4 and 1/8. Two specs that give
the same layers are listed once. Then train one: `potstill moonshine --teacher RUN --conv SPEC`. In Python:
`potstill.networks.within_budget(teacher, budget_params=0.25)`. Multiply-adds of ACDC are those of the dense matrix that
its layers amount to.

## In networks from elsewhere
"""

TABLE = """\
Parameters and multiply-adds in millions and, in brackets, as a fraction of the network's own; for 1000 classes and
images of 224 x 224. Where G8B2 does not fit, the column has the nearest type that does.

| network | replaced | parameters | DConv | G8B2 | multiply-adds | DConv | G8B2 |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    text = page([row(name) for name in ARCHITECTURES], [refusal(name) for name in NOTHING_TO_REPLACE])
    path.write_text(text, encoding="utf-8")


def page(rows: list[str], refusals: list[str]) -> str:
    """The whole page, from the rows of its table and the lines of its list."""
    table = (NOTATION or "").partition("\n\n")[2].partition("\n\nSource:")[0]
    types = f"```text\n{table}\n```\n"
    none = "\nThese have nothing to replace, and say why:\n\n"
    origin = "\nWritten by `tools/write_substitution_docs.py`; change it there.\n"
    return "\n".join([INTRODUCTION, types, BLOCKS, TABLE]) + "".join(rows) + none + "".join(refusals) + origin


def row(name: str) -> str:
    """What the types make of a network, as a row of the table."""
    network = _build(name)
    reasons = [reason for reason in reasons_to_stay(network).values() if reason != "1x1"]
    own = (parameters(network), macs(network, (3, 224, 224)))
    cheaper = []
    for spec in SPECS:
        fitting, student = _cheaper(name, spec)
        label = "" if fitting == spec else f"{fitting}: "
        cheaper.append((label, parameters(student), macs(student, (3, 224, 224))))
    cells = [f"`{name}`", f"{reasons.count('')} of {len(reasons)}"]
    for which in (0, 1):
        cells.append(f"{own[which] / 1e6:,.2f}")
        cells += [f"{c[0]}{c[1 + which] / 1e6:,.2f} ({c[1 + which] / own[which]:.2f})" for c in cheaper]
    return f"| {' | '.join(cells)} |\n"


def refusal(name: str) -> str:
    """A network in which nothing is replaced, and what its user is told."""
    try:
        substitute(_build(name), SPECS[0])
    except BadInput as error:
        return f"- `{name}`: {error}\n"
    raise AssertionError(f"{name} has something to replace")


def _cheaper(name: str, spec: str) -> tuple[str, nn.Module]:
    """The network with that type of convolution, or with the nearest that fits; and which it is."""
    try:
        return spec, substitute(_build(name), spec)
    except BadInput as error:
        nearest = str(error).rpartition("; nearest is ")[2]
        return nearest, substitute(_build(name), nearest)


def _build(name: str) -> nn.Module:
    """The network without memory for its weights, which is enough to count."""
    with torch.device("meta"):
        return create(name, 1000)


if __name__ == "__main__":
    main()
