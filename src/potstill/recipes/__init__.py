"""Recipes: training flows as plain functions, whose arguments are their command line."""

from potstill.recipes.distill import distill
from potstill.recipes.rocket import rocket
from potstill.recipes.supervised import supervised

__all__ = ["distill", "rocket", "supervised"]
