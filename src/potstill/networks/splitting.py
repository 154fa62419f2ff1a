"""More places to tap: the stages of a network in equal parts."""

from torch import nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.ranges import Index


@checked
def split_stages(network: nn.Module, parts: Index) -> nn.Module:
    """Rename the aliases of ``network`` so that each of its stages becomes ``parts`` of as many blocks; return it.

    Nothing but names changes: of 3 stages of 6 blocks, split in 2, ``stage1`` and ``stage2`` are what the third and the
    sixth block of the first stage return. ``stageI:pre`` stays for the last part of each stage, the others have none.
    Attention transfer between two networks that are split alike has ``parts`` times as many maps.

    The original splits the student alone, and then finds fewer maps in the teacher than it looks for; and each part of
    a stage of its ImageNet ResNet halves the image again.

    Raises:
        BadInput: no stages, or not of blocks that can be divided by ``parts``; the message names the nearest number.

    Source: ``--AT_split`` in https://github.com/BayesWatch/pytorch-moonshine

    >>> import potstill as ps
    >>> network = ps.networks.split_stages(ps.networks.create("wrn-16-1"), parts=2)
    >>> [network.aliases[f"stage{number}"] for number in (1, 2, 3)]
    ['block1.0', 'block1.1', 'block2.0']
    """
    aliases: dict[str, str] = getattr(network, "aliases", {})
    stages = {name: path for name, path in aliases.items() if name.startswith("stage") and name[5:].isdigit()}
    if not stages:
        raise BadInput(f"this {type(network).__name__} has no stages to split")
    split = {name: path for name, path in aliases.items() if not name.startswith("stage")}
    for index, (name, path) in enumerate(stages.items()):
        last = _last_blocks(network, name, path, parts)
        for part, block in enumerate(last, start=1):
            split[f"stage{index * parts + part}"] = f"{path}.{block}"
        if f"{name}:pre" in aliases:
            split[f"stage{(index + 1) * parts}:pre"] = aliases[f"{name}:pre"]
    network.aliases = split  # type: ignore[assignment]
    return network


def _last_blocks(network: nn.Module, name: str, path: str, parts: int) -> list[str]:
    """The last block of each part of a stage, by their names in it."""
    stage = dict(network.named_modules()).get(path)
    if not isinstance(stage, nn.Sequential):
        raise BadInput(f"{name} of this {type(network).__name__} is not a sequence of blocks, and cannot be split")
    blocks = [block for block, _ in stage.named_children()]
    if parts < 1 or len(blocks) % parts:
        near = min((n for n in range(1, len(blocks) + 1) if len(blocks) % n == 0), key=lambda n: (abs(n - parts), n))
        raise BadInput(f"{name} has {len(blocks)} blocks, which {parts} does not divide; the nearest number is {near}")
    size = len(blocks) // parts
    return blocks[size - 1 :: size]
