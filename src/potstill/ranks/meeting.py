"""How the ranks of a run begin: they meet, are asked for the same, and each takes its part."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from potstill.data.data import Data
from potstill.data.own_loaders import OwnLoader
from potstill.distiller import Distiller
from potstill.ranks.alike import check_alike
from potstill.ranks.team import Team
from potstill.ranks.world import join
from potstill.runs.schema import Config
from potstill.say import say
from potstill.training import Training


def meet(config: Config, distiller: Distiller, data: Data, training: Training) -> Team | None:
    """This process's team; None if it trains alone.

    Raises:
        BadInput: the ranks do not come, or were asked for different runs, or there are more of them than images.
    """
    world = join()
    if world is None:
        return None
    own_loader = isinstance(data.train, OwnLoader)
    for segment in config.get("segments") or []:
        segment["processes"] = world.size
    check_alike(config, None if own_loader else training.batch_size, world)
    team = Team(world, distiller, data, training)
    rest = training.batch_size % world.size
    if rest and not own_loader:
        say(
            f"--batch-size {training.batch_size} is not a multiple of {world.size} processes: {rest} of them take one "
            "image more than the others, and every image counts alike"
        )
    trained = [network for name, network in distiller.networks.items() if name in distiller.learners]
    if team.sync is None and any(map(_has_batch_norm, [*trained, distiller.losses])):
        say(
            f"batch norm counts each process's own images, 1 of {world.size} parts of a step's, and the statistics of "
            "rank 0 are saved; --sync-bn counts all"
        )
    return team


@contextmanager
def members(distiller: Distiller, team: Team | None) -> Iterator[None]:
    """Make a distiller's steps those of a team, as long as it trains."""
    distiller.team = team
    try:
        yield
    finally:
        distiller.team = None


def _has_batch_norm(module: nn.Module) -> bool:
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
