"""The settings every training run shares; a recipe's flags besides its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from potstill.augmentation import Augmentation
from potstill.errors import BadInput, unknown
from potstill.ranges import Count, Epochs, Fraction, Index, Momentum, Positive, Seed, Share
from potstill.selection import Selection
from potstill.text import is_text
from potstill.updates import Updates

if TYPE_CHECKING:
    from potstill.data import Data
    from potstill.schedules import Schedule


Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
TeacherEngine = Literal["torch", "compile", "onnxruntime", "auto"]
OPTIMIZERS = ("sgd", "nesterov", "adamw", "dot")
TWO_GRADIENTS = ("dot",)
"""Of these, one for what a teacher says."""
OF_TIMM = "timm:"


@dataclass(frozen=True)
class Training(Updates, Augmentation, Selection):
    """How a run trains: data, budget, optimiser, machine.

    >>> import potstill as ps
    >>> training = ps.Training("digits", holdout=200, epochs=10, milestones=(5, 8))
    >>> data, rate = training.load_data(), training.learning_rate()
    >>> data.shape, data.chosen_on, [round(rate(epoch), 4) for epoch in (0, 5, 8)]
    ((3, 8, 8), 'holdout', [0.1, 0.02, 0.004])
    """

    epochs: Epochs = 200
    """Length of the run."""
    batch_size: Count = 128
    """Images a step."""
    optimizer: str = "nesterov"
    """sgd (plain momentum), nesterov, adamw, dot (two momenta, one for what a teacher says), or any of timm's by its
    name there: timm:lamb."""
    lr: Positive = 0.1
    """Learning rate at the start."""
    momentum: Momentum = 0.9
    """Momentum of sgd, nesterov and dot."""
    delta: Momentum = 0.075
    """Of dot: the momentum is so much more for what a teacher says, and so much less for the rest."""
    weight_decay: Fraction = 5e-4
    """Weight decay, on all parameters."""
    schedule: Literal["milestones", "cosine"] = "milestones"
    """How the learning rate falls."""
    milestones: tuple[Index, ...] = ()
    """Epochs, counted from 0, at whose start it drops; by default after 30, 60 and 80 % of the run."""
    decay: Share = 0.2
    """What it is multiplied by there."""
    seed: Seed = 0
    """Of the networks' first weights, the order of the images and their augmentation."""
    out: Path | None = None
    """Run folder; by default one under runs/ named after the configuration. An unfinished run there goes on."""
    log: tuple[Tracker, ...] = ("tensorboard",)
    """Who is told what each epoch measured, beside the run's metrics.jsonl; nobody, if nothing follows."""
    save_every: Positive | None = None
    """Minutes between two checkpoints inside an epoch; by default there is one at its end, and when a signal comes."""
    extend: bool = False
    """Go on with a run of fewer epochs even where its past learning rates or weights would have been others."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ..., or mps (not tried); auto takes one of NVIDIA's GPUs if there is one."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """bf16: networks compute in bfloat16; weights and losses stay in float32. auto: the faster of what is close."""
    qat: bool = False
    """Quantisation-aware training: convolutions and linear layers of the networks that learn round weights and inputs
    as 8-bit numbers will be, so that its export in 8 bits loses less. What is measured and saved is not rounded."""
    sync_bn: bool = False
    """Of several processes: batch norm takes its statistics from all images of a step, not from each process's own."""
    compile: bool = False
    """Compile the networks with torch.compile."""
    teacher_engine: TeacherEngine = "torch"
    """What computes frozen teachers, once checked against torch; onnxruntime: on a CPU; auto: the fastest."""
    graph: Literal["auto", "on", "off"] = "off"
    """Take steps on a GPU as CUDA graphs, with the same numbers: auto where it can be done, and says why where not. Not
    yet tried on a GPU: off by default."""
    keep_memory: bool = True
    """Keep the memory that a step frees for the next one (glibc): faster; the process holds its peak until it ends."""
    teacher_cache: str = "auto"
    """Keep a teacher's answers, exact, for all runs that ask it the same: in a folder DIR, or a file that `pack` wrote;
    auto does so in the user's cache folder, on a CPU, where views repeat; or off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_text(self.out):
            raise BadInput(f"--out {self.out} is not UTF-8: a run keeps its name in files of text; choose another one")
        given = ", ".join(str(epoch) for epoch in self.milestones)
        if list(self.milestones) != sorted(self.milestones):
            raise BadInput(f"--milestones must be in order, not {given}")
        if self.milestones and self.schedule != "milestones":
            raise BadInput(f"--milestones {given} are for --schedule milestones, not {self.schedule}")
        if self.warmup > self.epochs:
            raise BadInput(f"--warmup {self.warmup} is longer than the run, --epochs {self.epochs}")
        if self.accumulate > 1 and 2 * self.accumulate > self.batch_size:
            raise BadInput(
                f"--accumulate {self.accumulate} makes no parts of two images of --batch-size {self.batch_size}"
            )
        if self.qat and self.compile:
            raise BadInput("--qat and --compile do not go together: leave out one of them")
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        if self.optimizer in OPTIMIZERS:
            return
        if not self.optimizer.startswith(OF_TIMM):
            raise unknown("optimizer", self.optimizer, [*OPTIMIZERS, "timm:NAME"])
        from potstill.engine.timm_optimizers import check_name

        check_name(self.optimizer.removeprefix(OF_TIMM))

    @classmethod
    def preset(cls, name: str, data: str = "cifar10", **changes: Any) -> Self:
        """The settings of a published training, see `potstill.presets`, with changes of one's own.

        Raises:
            BadInput: no such preset.

        >>> import potstill as ps
        >>> training = ps.Training.preset("deit", "imagenet", epochs=100)
        >>> training.epochs, training.optimizer, training.mixup
        (100, 'adamw', 0.8)
        """
        from potstill.presets import settings_of

        return cls(**{"data": data, **settings_of(name), **changes})

    def learning_rate(self) -> "Schedule":
        """The learning rate as a function of the epoch, counted from 0; of one that warms up, at its last step."""
        from potstill import schedules

        if self.schedule == "cosine":
            rate = schedules.cosine(self.lr, self.epochs)
        else:
            at = self.milestones or [max(1, round(self.epochs * part)) for part in (0.3, 0.6, 0.8)]
            rate = schedules.milestones(self.lr, at, self.decay)
        return schedules.warmed_up(rate, self.warmup) if self.warmup else rate

    def load_data(self) -> "Data":
        """The data set, on the run's device."""
        from potstill import data
        from potstill.device import find_device

        how = {"augment": self.augment != "none", "balanced": self.balance == "sampling"}
        return data.load(self, device=find_device(self.device), batch_size=self.batch_size, seed=self.seed, **how)
