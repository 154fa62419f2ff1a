"""Recipes: training flows as plain functions, whose arguments are their command line."""

from potstill.recipes.boundary import boundary
from potstill.recipes.chain import chain
from potstill.recipes.channel import channel
from potstill.recipes.class_means import class_means
from potstill.recipes.distill import distill
from potstill.recipes.embed import embed
from potstill.recipes.factor_transfer import factor_transfer
from potstill.recipes.masked import masked
from potstill.recipes.mixed_paths import mixed_paths
from potstill.recipes.moonshine import moonshine
from potstill.recipes.mutual import mutual
from potstill.recipes.native_ensemble import native_ensemble
from potstill.recipes.rocket import rocket
from potstill.recipes.supervised import supervised
from potstill.recipes.two_stage import two_stage

__all__ = [
    "boundary",
    "chain",
    "channel",
    "class_means",
    "distill",
    "embed",
    "factor_transfer",
    "masked",
    "mixed_paths",
    "moonshine",
    "mutual",
    "native_ensemble",
    "rocket",
    "supervised",
    "two_stage",
]
