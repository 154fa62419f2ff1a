"""Collaborative learning."""

from collections.abc import Sequence

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.losses.kd import divergences
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.ranges import Temperature

ONE_LABEL = "KDCL compares logits with that of one label; with mixup, use KD between the networks"


class KDCL(Loss):
    """Networks that learn together imitate, in each wrong class, the one that believes in it least.

        L = T^2 * KL(softmax(m / T) || softmax(z / T)), mean over the batch
        m = the least over all networks of z - z_y, class by class;    y = the label

    Guo et al., "Online knowledge distillation via collaborative learning", CVPR 2020:
    https://openaccess.thecvf.com/content_CVPR_2020/html/Guo_Online_Knowledge_Distillation_via_Collaborative_Learning_CVPR_2020_paper.html.
    This is its "MinLogit", as unofficial code has it: the authors have published none. A term is of one network, the
    first; the paper's loss is a term of each, between it and the rest, and m gets no gradient. ``potstill mutual
    --terms CE KDCL`` trains by it.

    Knowledge: responses, online.

    Usual weight: 1, beside 1 of cross-entropy, for each network.

    Args:
        temperature: T.

    Shapes: logits (N, K) of the network that learns; of another one, or of several; labels: class indices (N,) only.

    Raises:
        BadInput: labels are not class indices.

    >>> import torch
    >>> from potstill.losses import KDCL
    >>> one, other, labels = torch.randn(8, 10), torch.randn(8, 10), torch.arange(8)
    >>> bool(KDCL()(one, one, labels) < 1e-6), bool(KDCL()(one, other, labels) > 0.01)
    (True, True)
    """

    taps = ("student", "teacher", "labels")

    hard_labels = all_others = True

    @checked
    def __init__(self, temperature: Temperature = 2.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Tensor, others: Tensor | Sequence[Tensor], labels: Tensor) -> Tensor:
        rest = (others,) if isinstance(others, Tensor) else others
        target = least_logits((student, *rest), class_indices(labels, student, ONE_LABEL)).detach()
        return divergences(student, target, self.temperature).mean() * self.temperature**2


def least_logits(logits: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Of logits (N, K) of several networks, less that of the label (N,), the least of each class."""
    return torch.stack([one - one.gather(1, labels[:, None]) for one in logits]).amin(dim=0)
