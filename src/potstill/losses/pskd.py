"""Progressive self-knowledge distillation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.labels import class_indices, shares
from potstill.losses.loss import Loss
from potstill.losses.memory_bank import LARGEST_BANK, last_of_each
from potstill.ranges import Count, Fraction

ONE_CLASS = "PSKD keeps a row of probabilities for each image of one class"


class PSKD(Loss):
    """A network is its own teacher: its targets move from the labels to what it said of each image an epoch ago.

        L = -mean over the batch of sum over classes of t * log softmax(z)
        t = (1 - a) * label + a * softmax(z of this image, when it was seen last),    a = alpha * progress

    Kim, Ji, Yoon and Hwang, "Self-knowledge distillation with progressive refinement of targets", ICCV 2021, eq. 3 and
    5: https://arxiv.org/abs/2006.12000. It takes the place of cross-entropy: ``potstill supervised --terms PSKD``. As
    in the authors' code, what is kept are the answers given in training, to whatever view of the image was shown; an
    image that is new has its label. Here a grows step by step, and reaches alpha in the last one; in that code it grows
    at the start of each epoch, by an epoch's part.

    If an image is in a batch twice, the last one counts. Soft labels are refused: a row is one image of one class.

    Knowledge: labels, and responses of the network itself. Trained parts: none, but a memory of each image's
    probabilities.

    Usual weight: 1, in the place of cross-entropy.

    Args:
        alpha: how much of the target the network's own answer is in the end.
        samples: the rows of the training set; by default the batch's entry ``size``, a scalar.

    Shapes: student logits (N, K); labels: class indices (N,) only; progress () in 0..1; index (N,), rows of the
    training set; ``size`` () unless samples is given. `build` makes the memory.

    Raises:
        BadInput: an index beyond the memory, no `build` before the first call, or labels that are not class indices.

    >>> import torch
    >>> from potstill.losses import PSKD
    >>> batch = torch.eye(10)[:4], torch.arange(4), torch.tensor(0.5), torch.arange(4), torch.tensor(1000)
    >>> loss = PSKD()
    >>> loss.build(*batch)
    >>> first, second = loss(*batch), loss(*batch)  # the second time, less is asked of the labels' classes
    >>> loss.memory.shape, bool(first < second)
    (torch.Size([1000, 10]), True)
    """

    whole_batch = True
    hard_labels = True
    memory: Tensor  # a row of zeros where an image has not been seen

    @checked
    def __init__(self, alpha: Fraction = 0.8, samples: Count | None = None) -> None:
        super().__init__()
        self.alpha, self.samples = alpha, samples
        size = ("size",) if samples is None else ()
        self.taps = ("student", "labels", "progress", "index", *size)

    def build(self, student: Tensor, labels: Tensor, progress: Tensor, index: Tensor, *size: Tensor) -> None:
        """Make the memory."""
        rows = int(size[0]) if self.samples is None else self.samples
        if (largest := int(index.max())) >= max(rows, 2):
            raise BadInput(f"PSKD: index {largest} is beyond samples={rows} rows; give the training set's size")
        if rows * student.shape[1] > LARGEST_BANK:
            raise BadInput(f"PSKD: {rows:,} rows of {student.shape[1]:,} probabilities take gigabytes")
        self.register_buffer("memory", student.new_zeros(rows, student.shape[1]))

    def forward(self, student: Tensor, labels: Tensor, progress: Tensor, index: Tensor, *size: Tensor) -> Tensor:
        if not hasattr(self, "memory"):
            raise BadInput("PSKD: call build with a real batch before the first loss; a Distiller does so itself")
        targets = self.targets(class_indices(labels, student, ONE_CLASS), progress, index)
        log_p = F.log_softmax(student, dim=1)
        if self.training:
            # Every copy of an index writes the last one's row, so that the order of the writes does not matter.
            self.memory[index] = log_p.detach().exp()[last_of_each(index)].to(self.memory)
        return -(targets * log_p).sum(dim=1).mean()

    def targets(self, labels: Tensor, progress: Tensor, index: Tensor) -> Tensor:
        """What these images' probabilities (N, K) should be."""
        kept = self.memory[index]
        own = shares(labels, kept)
        past = torch.where(kept.sum(dim=1, keepdim=True) > 0, kept, own)
        return own + self.alpha * progress * (past - own)
