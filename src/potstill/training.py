"""The settings every training run shares; a recipe's flags besides its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.errors import BadInput
from potstill.selection import Selection

if TYPE_CHECKING:
    from potstill.data import Data
    from potstill.schedules import Schedule


@dataclass(frozen=True)
class Training(Selection):
    """How a run trains: data, budget, optimiser, machine.

    >>> import potstill as ps
    >>> training = ps.Training("digits", holdout=200, epochs=10, milestones=(5, 8))
    >>> data, rate = training.load_data(), training.learning_rate()
    >>> data.shape, data.chosen_on, [round(rate(epoch), 4) for epoch in (0, 5, 8)]
    ((3, 8, 8), 'holdout', [0.1, 0.02, 0.004])
    """

    epochs: int = 200
    """Length of the run."""
    batch_size: int = 128
    """Images a step."""
    optimizer: Literal["sgd", "nesterov", "adamw"] = "nesterov"
    """Plain momentum, Nesterov's, or AdamW."""
    lr: float = 0.1
    """Learning rate at the start."""
    momentum: float = 0.9
    """Momentum of sgd and nesterov."""
    weight_decay: float = 5e-4
    """Weight decay, on all parameters."""
    schedule: Literal["milestones", "cosine"] = "milestones"
    """How the learning rate falls."""
    milestones: tuple[int, ...] = ()
    """Epochs, counted from 0, at whose start it drops; by default after 30, 60 and 80 % of the run."""
    decay: float = 0.2
    """What it is multiplied by there."""
    seed: int = 0
    """Of the networks' first weights, the order of the images and their augmentation."""
    out: Path | None = None
    """Run folder; by default one under runs/ named after the configuration. An unfinished run there goes on."""
    save_every: float | None = None
    """Minutes between two checkpoints inside an epoch; by default there is one at its end, and when a signal comes."""
    extend: bool = False
    """Go on with a run of fewer epochs even where its past learning rates or weights would have been others."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU if there is one."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: networks compute in bfloat16; weights and losses stay in float32."""
    compile: bool = False
    """Compile the networks with torch.compile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "batch_size", "lr"):
            if getattr(self, name) <= 0:
                raise BadInput(f"--{name.replace('_', '-')} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "momentum", "holdout", "seed"):
            if getattr(self, name) < 0:
                raise BadInput(f"--{name.replace('_', '-')} must not be negative, not {getattr(self, name)}")

    def learning_rate(self) -> "Schedule":
        """The learning rate as a function of the epoch, counted from 0."""
        from potstill import schedules

        if self.schedule == "cosine":
            return schedules.cosine(self.lr, self.epochs)
        at = self.milestones or [max(1, round(self.epochs * part)) for part in (0.3, 0.6, 0.8)]
        return schedules.milestones(self.lr, at, self.decay)

    def load_data(self) -> "Data":
        """The data set, on the run's device."""
        from potstill import data
        from potstill.device import find_device

        return data.load(self, device=find_device(self.device), batch_size=self.batch_size, seed=self.seed)
