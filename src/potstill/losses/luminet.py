"""LumiNet: logits as a batch sees them."""

from torch import Tensor

from potstill.checked import checked
from potstill.losses.kd import divergences
from potstill.losses.loss import Loss
from potstill.ranges import Epsilon, Temperature


class LumiNet(Loss):
    """KD of logits that say how much more than usual an image is of a class: each class is standardised over the batch.

        L = KL(softmax(h_t / T) || softmax(h_s / T)), mean over the batch
        h = (z - mean of z over the batch) / sqrt(variance of z over the batch + eps), class by class

    Hossain, Elahi, Ramasinghe, Cheraghian, Rahman, Mohammed and Rahman, "LumiNet: perception-driven knowledge
    distillation via statistical logit calibration", 2023: https://arxiv.org/abs/2310.03669. The variance is that of
    batch norm, divided by N. There is no T^2: the authors' code has a weight in its place, whose square is the term's.
    No number of the original was at hand, so that this is checked against the formula alone.

    Knowledge: responses.

    Usual weight: warmup, beside 1 of cross-entropy; no published one was at hand.

    Args:
        temperature: T.
        eps: added to the variance.

    Shapes: student and teacher logits (N, K).

    >>> import torch
    >>> from potstill.losses import KD, LumiNet
    >>> teacher = torch.randn(64, 10)
    >>> student = 3 * teacher + torch.arange(10)  # another scale, and partial to some classes
    >>> bool(LumiNet()(student, teacher) < 1e-6), bool(KD()(student, teacher) > 1)
    (True, True)
    """

    whole_batch = True

    @checked
    def __init__(self, temperature: Temperature = 4.0, eps: Epsilon = 1e-5) -> None:
        super().__init__()
        self.temperature = temperature
        self.eps = eps

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return divergences(self._perceived(student), self._perceived(teacher), self.temperature).mean()

    def _perceived(self, logits: Tensor) -> Tensor:
        centred = logits - logits.mean(dim=0)
        return centred / (centred.square().mean(dim=0) + self.eps).sqrt()
