"""A student and a teacher that take next to no time, and a command that compares methods on them."""

from potstill.cli import main

NET = """
from torch import nn


def linear(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))
"""
SHORT = "--data digits --images 60 --test-images 40 --batch-size 30 --lr 0.02 --device cpu"


def make_place(folder):
    """A folder with a network's file and a teacher's run."""
    (folder / "net.py").write_text(NET)
    words = f"supervised --network {folder}/net.py:linear {SHORT} --epochs 2 --seed 7 --out {folder}/teacher"
    assert main(words.split()) == 0
    return folder


def words(place, out, *more, methods, epochs=2):
    """The words of a comparison."""
    pair = f"--student {place}/net.py:linear --teacher {place}/teacher --epochs {epochs} {SHORT}"
    return ["compare", *pair.split(), "--out", str(out), "--methods", *methods, *more, "--json"]
