"""How networks are moved by their gradients, beyond the usual: flags of every recipe."""

from dataclasses import dataclass
from typing import Annotated, Literal

from potstill.home import Expanded
from potstill.ranges import Count, Index, Positive, Range, Share


@dataclass(frozen=True)
class Updates(Expanded):
    """What moves, how far, and what is kept of it."""

    warmup: Index = 0
    """Epochs in which the learning rate rises, step by step, to what the schedule says."""
    clip: Positive | None = None
    """Shorten a step's whole gradient to this norm where it is longer."""
    accumulate: Count = 1
    """Compute a step in so many parts, one after the other, which need less memory: the gradient is that of the whole
    batch, but for batch norm and losses that compare a batch's images, which see a part."""
    decay_norms: bool = True
    """Without, weight decay leaves biases and the scales of norms alone: all parameters of one dimension."""
    layer_decay: Share = 1.0
    """Multiply the learning rate by this for each layer further from the output."""
    drop_path: Annotated[float, Range(0, 0.95)] = 0.0
    """Stochastic depth of the networks that learn, where timm or torchvision offers it: the deepest block's rate."""
    ema: Annotated[float, Range(0, 0.999999)] | None = None
    """Keep averages of weights, of which a step changes 1 - X: they are measured, and saved as NAME-ema."""
    keep: Count | None = None
    """Keep the weights of every so many epochs too, as NAME-epochN: after epoch N, counted from 0."""
    early_stop: Count | None = None
    """End a run whose best epoch is so many epochs ago."""
    freeze: tuple[str, ...] = ()
    """Parts of the networks that learn which are to stay as they are: modules or parameters, with * for any letters."""
    balance: Literal["none", "sampling", "weights"] = "none"
    """Of unequal classes: draw images so that each class is as frequent, or weigh cross-entropy by rarity."""
