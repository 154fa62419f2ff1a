"""Streamlined knowledge distillation."""

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import divergences
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, Share, Temperature


class SKD(Loss):
    """KD, and the images of a batch are as alike to the student as to the teacher, by a distance that knows the spread.

        L = alpha * KL(softmax(z_t / T) || softmax(z_s / T)) + beta * mean over rows of sqrt(d S^-1 d')
        d = a row of G_s - G_t,    G = cosines of the logits of every two samples
        S = covariance of the columns of G_s - G_t, plus ridge * identity

    Jeong, Lee and Choi, "Streamlined knowledge distillation", CVPR 2026, by the port in torchdistill:
    https://github.com/yoshitomo-matsubara/torchdistill. There is no T^2. S is divided by N - 1, and has a gradient.
    Where student and teacher agree the second term is 0, and its gradient too.

    Knowledge: responses, relations of samples.

    Usual weight: 1, beside 1 of cross-entropy; the port gives alpha and beta no values.

    Args:
        alpha: weight of the first term.
        beta: weight of the second.
        temperature: T.
        ridge: added to the diagonal of S.

    Shapes: student and teacher logits (N, K), also of different classes if alpha is 0.

    Raises:
        BadInput: both weights are 0.

    >>> import torch
    >>> from potstill.losses import SKD
    >>> student, teacher = torch.randn(8, 10), torch.randn(8, 10)
    >>> SKD()(student, student), SKD(alpha=0)(student, 7 * student) < 1e-4, SKD(alpha=0)(student, teacher) > 0.1
    (tensor(0.), tensor(True), tensor(True))
    """

    whole_batch = True

    @checked
    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 1.0,
        temperature: Temperature = 4.0,
        ridge: Share = 0.1,
    ) -> None:
        super().__init__()
        if not (alpha or beta):
            raise BadInput("SKD: both weights are 0")
        self.alpha, self.beta, self.temperature, self.ridge = alpha, beta, temperature, ridge

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        instance, direction = self.parts(student, teacher)
        return self.alpha * instance + self.beta * direction

    def parts(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The two terms, without their weights."""
        instance = divergences(student, teacher, self.temperature).mean() if self.alpha else student.new_zeros(())
        return instance, _spread(_cosines(student) - _cosines(teacher), self.ridge)


def _cosines(logits: Tensor) -> Tensor:
    rows = unit_length(logits)
    return rows @ rows.T


def _spread(differences: Tensor, ridge: float) -> Tensor:
    """The mean of Mahalanobis lengths of the rows."""
    centred = differences - differences.mean(dim=0)
    identity = torch.eye(len(differences), dtype=differences.dtype, device=differences.device)
    covariance = centred.T @ centred / max(len(differences) - 1, 1) + ridge * identity
    # The factor of a positive definite matrix, without a look at whether it is one, for which the host would wait.
    root, _ = torch.linalg.cholesky_ex(covariance)
    white = torch.linalg.solve_triangular(root, differences.T, upper=False)
    lengths: Tensor = torch.linalg.vector_norm(white, dim=0)
    return lengths.mean()
