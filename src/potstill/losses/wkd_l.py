"""Wasserstein distance between logits."""

from typing import Annotated

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.labels import class_indices
from potstill.losses.loss import Loss
from potstill.losses.nkd import target_entropy
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, Positive, Range, Temperature

ONE_LABEL = "WKDL moves probability among the classes other than one label; with mixup, use KD"
EPS = 1e-8
HIGHEST = 1e3


class WKDL(Loss):
    """Probability of the wrong classes is moved from student to teacher, and it costs less between classes alike.

        L = mean over the batch of (alpha * -t_y log s_y + beta * min over plans of sum of plan_ij D_ij)
        plan: moves p to q, softmax(z / T) of student and teacher over the classes other than the label y
        D = 1 - exp(-sharpen * cost), or cost if sharpen is 0

    Lv, Yang and Li, "Wasserstein distance rivals Kullback-Leibler divergence for knowledge distillation", NeurIPS 2024:
    https://arxiv.org/abs/2412.08139. The plan is Sinkhorn's after some steps, u = p / (K v + 1e-8) and
    v = q / (K' u + 1e-8) with K = exp(-D / entropy), and gradients flow through them; 1e-8 is added to D. It has not
    converged then: rows sum to p, columns nearly to q. The label has no mass in it, so all samples share one K. The
    authors let beta decay and not alpha: two terms, "WKDL(beta=0)" and "late_cosine(600, 150, 240) * WKDL(alpha=0,
    beta=1)". Their costs of classes are computed once, with the teacher's weights in the graph, which then fails; here
    without.

    Knowledge: responses.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        alpha: weight of the label's part.
        beta: weight of the distance; for CIFAR-100 the authors have 600 for resnet32x4 and resnet8x4.
        temperature: T, of the distance only.
        entropy: lambda; the smaller, the nearer to the true distance, and the harder to reach.
        iterations: steps of Sinkhorn's.
        sharpen: of costs.
        cost: between classes (K, K), from `class_costs` for example; by default, 1 - the cosine of the rows of the
            teacher's last layer, which is then taken.

    Shapes: student and teacher logits (N, K); labels: class indices (N,) only; unless costs are given, the weight
    (K, D) of the teacher's last layer.

    Raises:
        BadInput: costs are not of the classes, or labels are not class indices.

    >>> import torch
    >>> from potstill.losses import WKDL
    >>> likeness = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [1.0, -1.0]])  # class 2 is like class 1
    >>> teacher, labels = torch.tensor([[5.0, 4.0, 0.0, 0.0]]), torch.tensor([0])
    >>> near, far = torch.tensor([[5.0, 0.0, 4.0, 0.0]]), torch.tensor([[5.0, 0.0, 0.0, 4.0]])
    >>> loss = WKDL(temperature=1)
    >>> bool(loss(near, teacher, labels, likeness) < loss(far, teacher, labels, likeness))
    True
    """

    hard_labels = True
    cost: Tensor | None

    @checked
    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 600.0,
        temperature: Temperature = 8.0,
        entropy: Positive = 0.05,
        iterations: Annotated[int, Range(1, 1000)] = 10,
        sharpen: Annotated[float, Range(0, HIGHEST)] = 1.0,
        cost: Tensor | None = None,
    ) -> None:
        super().__init__()
        if not (alpha or beta):
            raise BadInput("WKDL: both weights are 0")
        self.alpha, self.beta, self.temperature = alpha, beta, temperature
        self.entropy, self.iterations, self.sharpen = entropy, iterations, sharpen
        self.register_buffer("cost", cost)
        self.taps = ("student", "teacher", "labels", *([] if cost is not None else ["teacher.fc.weight"]))

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
        labels = class_indices(labels, student, ONE_LABEL)
        costs = self.costs(weight)
        if costs.shape != (student.shape[1],) * 2:
            raise BadInput(f"WKDL: costs {tuple(costs.shape)} are not of {student.shape[1]} classes")
        is_label = torch.zeros_like(student, dtype=torch.bool).scatter(1, labels[:, None], True)
        s, t = [(z / self.temperature).masked_fill(is_label, -torch.inf).softmax(dim=1) for z in (student, teacher)]
        distances = self._transport(s, t, costs.relu() + EPS, ~is_label)
        return (self.alpha * target_entropy(student, teacher, labels) + self.beta * distances).mean()

    def costs(self, weight: Tensor | None = None) -> Tensor:
        """D, but for what is added to it (K, K)."""
        given = self.cost
        if given is None:
            if weight is None:
                raise BadInput("WKDL takes the weight of the teacher's last layer, unless costs are given")
            rows = unit_length(weight.detach())
            given = 1 - rows @ rows.T
        return -torch.expm1(-self.sharpen * given) if self.sharpen else given

    def _transport(self, p: Tensor, q: Tensor, costs: Tensor, allowed: Tensor) -> Tensor:
        """What moving the rows of p to those of q costs (N,); only classes that are allowed have mass."""
        kernel = (-costs / self.entropy).exp()
        u = allowed.to(p) / max(p.shape[1] - 1, 1)
        for _ in range(self.iterations):
            v = q / (u @ kernel + EPS)
            u = p / (v @ kernel.T + EPS)
        return (u * (v @ (kernel * costs).T)).sum(dim=1)


def class_costs(features: Tensor) -> Tensor:
    """1 - linear CKA between the features of every two classes (K, n, D), n images of each in one order: (K, K).

    The order matters, as in the authors' code: the k-th image of one class goes with the k-th of the other.
    """
    centred = features - features.mean(dim=1, keepdim=True)
    grams = (centred @ centred.transpose(1, 2)).flatten(1)  # |X' Y|^2 is the product of the two Gram matrices of rows
    rows = unit_length(grams)
    return 1 - rows @ rows.T
