"""Write docs/pairs.md: which layers are matched between networks of many families, and that they train.

    python tools/write_pairs_docs.py [docs/pairs.md]

Run it after every change of how stages are found or matched; the test that trains these pairs compares.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import potstill as ps
from potstill.networks import Stage, find_stages
from potstill.term_strings.matching import match

PAGE = Path(__file__).resolve().parents[1] / "docs" / "pairs.md"


@dataclass(frozen=True)
class Pair:
    """A student and a teacher, the loss between their stages, and the side of the images that both take."""

    student: str
    teacher: str
    loss: str
    size: int

    @property
    def terms(self) -> tuple[str, str]:
        """The term strings of `potstill distill`."""
        return "KD(temperature=4)", f"{1000 if self.loss == 'AT' else 1} * {self.loss} on stages"


PAIRS = {
    "CNN from CNN": (
        Pair("timm:mobilenetv2_035", "timm:resnet10t", "AT", 64),
        Pair("torchvision:mobilenet_v3_small", "torchvision:resnet18", "FitNet", 64),
        Pair("torchvision:shufflenet_v2_x0_5", "torchvision:densenet121", "AT", 64),
        Pair("timm:ghostnet_050", "timm:regnety_002", "FitNet", 64),
        Pair("timm:mnasnet_small", "torchvision:efficientnet_b0", "AT", 64),
        Pair("torchvision:mnasnet0_5", "torchvision:vgg11_bn", "FitNet", 64),
        Pair("torchvision:squeezenet1_1", "timm:inception_v3", "FitNet", 128),
        Pair("timm:convnext_atto", "timm:repvgg_a0", "AT", 64),
        Pair("timm:mobilenetv3_small_050", "timm:dla46_c", "FitNet", 64),
        Pair("resnet20", "timm:hrnet_w18_small", "AT", 64),
    ),
    "CNN from ViT": (
        Pair("timm:resnet10t", "timm:vit_tiny_patch16_224", "AT", 224),
        Pair("torchvision:resnet18", "timm:deit_tiny_distilled_patch16_224", "FitNet", 224),
        Pair("torchvision:mobilenet_v2", "torchvision:swin_t", "AT", 64),
        Pair("timm:efficientnet_lite0", "timm:pit_ti_224", "FitNet", 224),
        Pair("timm:regnetx_002", "timm:levit_128s", "AT", 224),
        Pair("torchvision:shufflenet_v2_x0_5", "timm:maxvit_rmlp_pico_rw_256", "FitNet", 256),
        Pair("timm:ghostnet_100", "timm:coatnet_nano_rw_224", "AT", 224),
        Pair("torchvision:mobilenet_v3_large", "timm:mixer_s32_224", "FitNet", 224),
        Pair("timm:mobilenetv2_050", "timm:edgenext_xx_small", "AT", 64),
        Pair("timm:convnext_atto", "timm:mobilevit_xxs", "FitNet", 64),
    ),
    "ViT from CNN": (
        Pair("timm:vit_tiny_patch16_224", "torchvision:resnet18", "AT", 224),
        Pair("timm:deit_tiny_patch16_224", "timm:regnety_002", "FitNet", 224),
        Pair("torchvision:vit_b_32", "torchvision:regnet_y_400mf", "AT", 224),
        Pair("torchvision:swin_t", "torchvision:convnext_tiny", "FitNet", 64),
        Pair("timm:levit_128s", "timm:mobilenetv2_035", "AT", 224),
        Pair("timm:pit_ti_224", "timm:efficientnet_lite0", "FitNet", 224),
        Pair("timm:coatnet_nano_rw_224", "timm:resnet10t", "AT", 224),
        Pair("timm:mixer_s32_224", "torchvision:densenet121", "FitNet", 224),
        Pair("timm:edgenext_xx_small", "torchvision:mnasnet0_5", "AT", 64),
        Pair("timm:xcit_nano_12_p16_224", "timm:mobilenetv3_small_050", "FitNet", 224),
    ),
}

INTRODUCTION = """\
# Any student, any teacher

`--terms "AT on stages"` needs no layer's name. Both networks run once on two images; their stages are found and
matched, and the pairs are said on stderr before the training:

```text
potstill: matched student.stage1 (64 x 56 x 56) with teacher.layer1 (256 x 56 x 56)
```

**Stages.** Built-in networks name theirs `stage1`, `stage2`, ..., and so do most of timm's. In any other network, a
stage is what the last module returns before the resolution changes. A network of a single resolution, such as a vision
transformer, gives four of its blocks, evenly spread. Left out are the single layer of a stem, maps of one pixel (also
where a network names them), sequences (N, C, L), which are no pictures, maps that something overwrites in place, and
what lies inside a block that returns several tensors none of which can be told to be its map; of a tuple that is the
first. `potstill.networks.find_stages(network, images)` lists them.

**Tokens are maps.** `student.blocks.8:map` is what `blocks.8` returns as a map (N, C, h, w): of tokens (N, L, C) the
first ones (class, distillation, registers) are dropped and the others laid out row by row, in the aspect ratio of the
images; of (N, h, w, C) the channels are moved. Losses that compare maps get this by themselves, also where you name the
places: `--terms "AT on layer3=blocks.8"`. In Python, an address takes `:map`, and `potstill.maps.as_map` does it to a
tensor. Networks that keep their tokens in another order than row by row, as timm's `hiera`, give maps whose places are
mixed up.

**Matching.** In the order of depth, two stages go together if their maps differ by a factor of 2 at most. There are as
many pairs as possible; of those, the maps' sizes differ least; of those again, the relative depths do. Maps are
compared as they are, even if the two networks see images of different sizes.

## Thirty pairs

Each is trained for a step by a test: `KD(temperature=4)` and the loss of the table on these stages, with fresh weights
and two photographs. The loss is finite, every term has a gradient in the student, and the teacher stays bit-identical.
Neither network is edited. Shapes are those of maps for one image.

| student from teacher | student | teacher | image | loss | matched: student = teacher |
|---|---|---|---|---|---|
"""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    rows = []
    for kind, pairs in PAIRS.items():
        for pair in pairs:
            images = torch.zeros(2, 3, pair.size, pair.size)
            rows.append(row(kind, pair, matched(networks_of(pair), images)))
    path.write_text(page(rows), encoding="utf-8")


def networks_of(pair: Pair) -> dict[str, nn.Module]:
    """The pair as `Distiller` takes it, with fresh weights and 10 classes."""
    student, teacher = (ps.networks.create(spec, 10, seed=i) for i, spec in enumerate((pair.student, pair.teacher)))
    return {"student": student, "teacher": ps.freeze(teacher)}


def matched(networks: dict[str, nn.Module], images: Tensor) -> list[tuple[Stage, Stage]]:
    """The stages of both networks that go together."""
    return match(*(find_stages(networks[name], images) for name in ("student", "teacher")))


def row(kind: str, pair: Pair, stages: Sequence[tuple[Stage, Stage]]) -> str:
    """A pair as a row of the table."""
    places = "<br>".join(f"{_place(student)} = {_place(teacher)}" for student, teacher in stages)
    return f"| {kind} | `{pair.student}` | `{pair.teacher}` | {pair.size} | {pair.loss} | {places} |\n"


def _place(stage: Stage) -> str:
    return f"`{stage.path}` {'x'.join(str(side) for side in stage.shape)}"


def page(rows: Sequence[str]) -> str:
    """The whole page, from the rows of its table."""
    return INTRODUCTION + "".join(rows) + "\nWritten by `tools/write_pairs_docs.py`; change it there.\n"


if __name__ == "__main__":
    main()
