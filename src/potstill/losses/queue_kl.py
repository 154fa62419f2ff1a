"""Likeness to images of the past."""

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.losses.projector import projector, side_by_side
from potstill.losses.similarities import QueueLength, queued, similarity_kl
from potstill.losses.unit_length import unit_length
from potstill.ranges import ProjectorLayers, Temperature, Width


class QueueKL(Loss):
    """An image is as like to each of many others as the teacher has it; no labels are used.

        L = KL(softmax(t . q / T) || softmax(p(s) . q / T)), mean over the batch

    q are the teacher's features of the last images, this batch's included; all vectors have unit length, and p is a
    learned projector. Of LightlyTrain, distillation v1 (no paper): https://github.com/lightly-ai/lightly-train. As
    there, the queue starts with zeros, which count as images of similarity 0 until it is full, and the batch enters it
    before the loss: the teacher's own feature is the most likely. The length is the longest of theirs; there each
    process has a queue, here a run.

    Knowledge: relations of samples. Trained parts: a projector of the student's features; the queue is kept with it.

    Args:
        queue: how many images of the past.
        temperature: T.
        layers: of the projector: one is linear, more are an MLP.
        hidden: width between the layers; by default the teacher's.

    Shapes: student (N, D), teacher (N, D'), further dimensions flattened; `build` needs a pair of them.

    Raises:
        BadInput: student and teacher do not go together.

    >>> import torch
    >>> from potstill.losses import QueueKL
    >>> student, teacher = torch.randn(8, 64), torch.randn(8, 384)
    >>> loss = QueueKL(queue=1024)
    >>> loss.build(student, teacher)
    >>> value = loss(student, teacher)
    >>> value.shape, int(loss.queue.norm(dim=1).sum().round())
    (torch.Size([]), 8)
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")
    queue: Tensor

    @checked
    def __init__(
        self,
        queue: QueueLength = 8192,
        temperature: Temperature = 0.07,
        layers: ProjectorLayers = 1,
        hidden: Width | None = None,
    ) -> None:
        super().__init__()
        self.length, self.temperature = queue, temperature
        self.layers, self.hidden = layers, hidden
        self.head: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projector, and an empty queue."""
        student, teacher = student.flatten(1), teacher.flatten(1)
        self.head = projector(student, teacher, self.layers, self.hidden)
        self.register_buffer("queue", teacher.new_zeros(self.length, teacher.shape[1]))

    def aligned(self, student: Tensor, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What is compared: features (N, D') of the student, after the projector, and of the teacher."""
        return [side_by_side(student.flatten(1), teacher.flatten(1), self.head, "QueueKL")]

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        ((s, t),) = self.aligned(student, teacher)
        s, t = unit_length(s), unit_length(t.detach())
        rows = queued(self.queue, t)
        if self.training:
            self.queue.copy_(rows)
        return similarity_kl(s @ rows.T, t @ rows.T, self.temperature)
