"""The seeds of a run's random numbers: one for each purpose, the same wherever and whenever it is asked for."""

import numpy as np
import torch

from potstill.errors import BadInput

HOLDOUT, EPOCH, FEWER, TRANSFORMS, VIEWS, OF_RANK, PAIRS, PREVIOUS, EXTRA, STRONG, BRIDGES = range(11)
"""What random numbers are drawn for: no two share a stream."""


def seeded(seed: int, *purpose: int) -> torch.Generator:
    """A CPU generator for one purpose, the same wherever and whenever it is asked for."""
    return torch.Generator().manual_seed(seed_of(seed, *purpose))


def seed_of(seed: int, *purpose: int) -> int:
    """A seed for one purpose, made of the run's."""
    if seed < 0:
        raise BadInput(f"seed is {seed}, but must not be negative")
    return int(np.random.SeedSequence(seed, spawn_key=purpose).generate_state(1)[0])
