"""Likeness to images of the past, and of the patches of an image."""

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.losses.projector import projector, side_by_side
from potstill.losses.similarities import QueueLength, queued, similarity_kl
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, ProjectorLayers, Temperature, Width

Features = tuple[Tensor, Tensor]
"""Pooled features (N, D) and a map (N, C, h, w)."""


class QueuePatchKL(Loss):
    """An image is as like to others, and a patch to the other patches of its image, as the teacher has it.

        L = QueueKL + weight * mean over images and patches of KL(softmax(t_i . t / T_p) || softmax(s_i . s / T_p))

    t are the teacher's patches of the image, s the student's after a projector of their own, resized bilinearly to the
    teacher's map; all have unit length. The first part is `QueueKL`. Of LightlyTrain, distillation v3 (no paper):
    https://github.com/lightly-ai/lightly-train.

    Knowledge: relations of samples and of patches. Trained parts: a projector of the student's features and one of its
    patches; the queue is kept with them.

    Args:
        weight: of the patches.
        queue: how many images of the past.
        temperature: of the images.
        patch_temperature: T_p.
        layers: of each projector: one is linear, more are an MLP.
        hidden: width between the layers; by default the teacher's.

    Shapes: student pooled features (N, D) and a map (N, C, h, w); teacher (N, D') and (N, C', h', w'); `build` needs
    both.

    Raises:
        BadInput: student and teacher do not go together.

    >>> import torch
    >>> from potstill.losses import QueuePatchKL
    >>> student, teacher = ((torch.randn(4, n), torch.randn(4, n, k, k)) for n, k in ((64, 8), (384, 14)))
    >>> loss = QueuePatchKL(queue=1024)
    >>> loss.build(student, teacher)
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    whole_batch = True
    taps = (("student.pooled", "student.stage3"), ("teacher.pooled", "teacher.stage3"))
    queue: Tensor

    @checked
    def __init__(
        self,
        weight: NotNegative = 1.0,
        queue: QueueLength = 8192,
        temperature: Temperature = 0.07,
        patch_temperature: Temperature = 0.07,
        layers: ProjectorLayers = 1,
        hidden: Width | None = None,
    ) -> None:
        super().__init__()
        self.layers, self.hidden = layers, hidden
        self.weight, self.length = weight, queue
        self.temperature, self.patch_temperature = temperature, patch_temperature
        self.head_global: nn.Module = nn.Identity()
        self.head_local: nn.Module = nn.Identity()

    def build(self, student: Features, teacher: Features) -> None:
        """Make the projectors, and an empty queue."""
        self.head_global = projector(student[0], teacher[0], self.layers, self.hidden)
        self.head_local = projector(student[1], teacher[1], self.layers, self.hidden)
        self.register_buffer("queue", teacher[0].new_zeros(self.length, teacher[0].shape[1]))

    def aligned(self, student: Features, teacher: Features) -> list[tuple[Tensor, Tensor]]:
        """What is compared: features (N, D') and patches (N, L, C') of the student, projected, and of the teacher."""
        heads = (self.head_global, self.head_local)
        return [side_by_side(s, t, head, "QueuePatchKL") for s, t, head in zip(student, teacher, heads, strict=True)]

    def of_images(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The first part: of features (N, D') as `aligned` gives them, which enter the queue."""
        s, t = unit_length(student), unit_length(teacher.detach())
        rows = queued(self.queue, t)
        if self.training:
            self.queue.copy_(rows)
        return similarity_kl(s @ rows.T, t @ rows.T, self.temperature)

    def of_patches(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The second part, unweighted: of patches (N, L, C') as `aligned` gives them."""
        s, t = unit_length(student), unit_length(teacher.detach())
        return similarity_kl(s @ s.mT, t @ t.mT, self.patch_temperature)

    def forward(self, student: Features, teacher: Features) -> Tensor:
        images, patches = self.aligned(student, teacher)
        loss = self.of_images(*images)
        return loss + self.weight * self.of_patches(*patches) if self.weight else loss
