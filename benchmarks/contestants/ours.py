"""This package: an epoch of `potstill distill`."""

from contextlib import ExitStack
from dataclasses import replace
from tempfile import TemporaryDirectory

import potstill as ps
from contestants.task import TERMS, Task
from potstill.allocator import keep_freed_memory
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.progress import Progress
from potstill.memory_layout import lay_out


class Ours:
    """The recipe's training epoch, without what comes before the first and after the last."""

    PRECISION = "fp32"

    def __init__(self, task: Task) -> None:
        self.training = replace(task.training, precision=self.PRECISION)
        self.data = self.training.load_data()
        networks = {"student": task.student, "teacher": task.teacher}
        example = self.data.example()
        self.distiller = ps.Distiller(networks, ps.terms(TERMS[task.method], networks, example), example)
        lay_out(self.distiller, example)
        if self.training.keep_memory:
            keep_freed_memory()
        self.optimizer = make_optimizer(self.distiller, self.training)
        self.progress = Progress(epochs=1, steps=len(self.data.train), done=0)

    def epoch(self) -> None:
        """Train on all images once."""
        train_epoch(self.distiller, self.data.train, self.optimizer, 0, self.training, self.progress)


class Warm(Ours):
    """The same with the teacher's answers kept: it trains on the same views again and again, and all are there."""

    METHODS = ("KD", "DKD", "CRD")

    def __init__(self, task: Task) -> None:
        from potstill.answers.answering import answering  # which the engine imports, and itself wants

        super().__init__(task)
        self.training = replace(self.training, epochs=100)  # so many views are worth keeping
        self.kept = ExitStack()
        folder = self.kept.enter_context(TemporaryDirectory())
        asked = replace(self.training, teacher_cache=folder)
        self.kept.enter_context(answering(self.distiller, self.data, asked, plain=True))
        if not self.distiller.answered:
            raise SystemExit(f"no answers are kept of {task.method}")


class WarmInBf16(Warm):
    """The same with networks that compute in bfloat16, for processors that are fast at it."""

    PRECISION = "bf16"
