"""Sobolev training."""

import torch.nn.functional as F
from torch import Tensor

from potstill.losses.class_gradient import class_gradient
from potstill.losses.loss import Loss, float32_at_least


class Sobolev(Loss):
    """The student's score of the right class changes with every pixel as the teacher's does.

        g = gradient of z[label] by the image, flattened;    L = mean of (g_s / ||g_s|| - g_t / ||g_t||)^2

    Czarnecki, Osindero, Jaderberg, Swirszcz and Pascanu, "Sobolev training for neural networks", NeurIPS 2017, section
    2: https://arxiv.org/abs/1706.04859. As in the Knowledge-Distillation-Zoo (weight 20), only the label's logit is
    differentiated, where the paper has random projections of all, and only the direction counts. Needs a second
    derivative of the student: about twice the time of a step. With soft labels y, z[label] is the sum over k of
    y_k z_k, which one-hot labels turn into the label's logit.

    Knowledge: responses and their gradients.

    Usual weight: 20, beside 1 of cross-entropy.

    Shapes: student and teacher logits (N, K); labels: class indices (N,), or probabilities (N, K); images (N, C, H, W),
    of which the logits were computed with autograd. A `Term` sees to that, also for a frozen teacher.

    Raises:
        BadInput: there is no graph from the logits back to the images, or the labels do not fit the logits.

    >>> import torch
    >>> from potstill.losses import Sobolev
    >>> images = torch.randn(8, 3, 32, 32, requires_grad=True)
    >>> logits = images.flatten(1) @ torch.randn(3072, 10)
    >>> bool(Sobolev()(logits, 7 * logits + 1, torch.arange(8), images) < 1e-9)  # only the direction counts
    True
    >>> bool(Sobolev()(logits, -logits, torch.full((8, 10), 0.1), images) > 1e-4)  # soft labels
    True
    """

    taps = ("student", "teacher", "labels", "images")
    needs_graph = True

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        own = float32_at_least(class_gradient(student, labels, images, trainable=True))
        target = float32_at_least(class_gradient(teacher, labels, images, trainable=False))
        return F.mse_loss(F.normalize(own.flatten(1), dim=1), F.normalize(target.flatten(1), dim=1))
