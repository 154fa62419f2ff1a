"""Whether all ranks were asked for the same run."""

from typing import Any

from potstill.errors import BadInput
from potstill.ranks.world import World
from potstill.runs.same_run import Asked, asked, difference
from potstill.runs.schema import Config


def check_alike(config: Config, batch_size: int | None, world: World) -> None:
    """Compare the ranks' arguments, networks, teachers' weights and data.

    Args:
        config: what this rank was asked.
        batch_size: images of a step, of all ranks; None if a loader of somebody's own decides.
        world: the ranks.

    Raises:
        BadInput: one of them was asked for another run than rank 0, or there are more ranks than images in a step.
    """
    own = asked(config)
    told: list[dict[str, Any]] = world.each(vars(own))
    for rank, other in enumerate(told):
        words = difference(Asked(**told[0]), Asked(**other)) or _elsewhere(told[0], other)
        if words:
            raise BadInput(f"ranks must be started alike, but rank {rank} differs from rank 0: {words}")
    if batch_size is not None and batch_size < world.size:
        raise BadInput(
            f"--batch-size {batch_size} is that of all processes together, and there are {world.size} of them: "
            f"give {world.size} images or more, or start fewer"
        )


def _elsewhere(first: dict[str, Any], other: dict[str, Any]) -> str | None:
    out, own = first["arguments"].get("out"), other["arguments"].get("out")
    return None if out == own else f"--out was {out!r} there and is {own!r} now"
