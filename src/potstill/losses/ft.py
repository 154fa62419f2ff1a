"""Factor transfer."""

from collections import OrderedDict
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Multiple, Power


class Paraphraser(Loss):
    """An autoencoder that says what a teacher's map says in fewer channels: the factor, easier to learn for a student.

        L = mean of (decoder(encoder(t)) - t)^2

    Kim, Park and Kwak, "Paraphrasing complex network: network compression via factor transfer", NeurIPS 2018, section
    3.1: https://arxiv.org/abs/1802.04977. Trained first, without labels, by a term of its own:
    ``Term(Paraphraser(), "teacher.stage3")``; then given to `FT`. Encoder and decoder have three 3x3 (transposed)
    convolutions each, with batch norm and leaky ReLUs of slope 0.1.

    Args:
        factor: channels of the factor, as a fraction of the teacher's.
        batch_norm: whether there is any; if not, the convolutions have biases. The Knowledge-Distillation-Zoo has
            it for CIFAR-10 only.

    Shapes: teacher (N, C, H, W); `build` needs one.
    """

    taps = ("teacher.stage3",)

    @checked
    def __init__(self, factor: Multiple = 0.5, batch_norm: bool = True) -> None:
        super().__init__()
        self.factor = factor
        self.batch_norm = batch_norm
        self.width = 0  # channels of a factor, known once it has seen a map
        self.encoder: nn.Module = nn.Identity()
        self.decoder: nn.Module = nn.Identity()

    def build(self, teacher: Tensor) -> None:
        """Make encoder and decoder for maps of this shape."""
        width = teacher.shape[1]
        self.width = middle = max(1, int(width * self.factor))
        self.encoder = _three_layers((width, width, middle, middle), self.batch_norm, nn.Conv2d)
        self.decoder = _three_layers((middle, middle, width, width), self.batch_norm, nn.ConvTranspose2d)
        self.to(teacher)

    def forward(self, teacher: Tensor) -> Tensor:
        return F.mse_loss(self.decoder(self.encoder(teacher)), teacher)


class FT(Loss):
    """The student's map, translated, gives the same factor as the teacher's, paraphrased: both of unit length a sample.

        f_s = translator(s),    f_t = paraphraser(t),    u(f) = f / ||f||;    L = mean of |u(f_s) - u(f_t)|^p

    Kim, Park and Kwak, "Paraphrasing complex network: network compression via factor transfer", NeurIPS 2018, section
    3.2: https://arxiv.org/abs/1802.04977. The mean is the Knowledge-Distillation-Zoo's and RepDistiller's (weight 200),
    where the paper has a norm.

    Knowledge: features. Trained parts: a translator, and a paraphraser unless one is given.

    Usual weight: 200, beside 1 of cross-entropy.

    Args:
        paraphraser: a trained one, which is frozen and stays in eval mode, as in the paper. Without one, FT makes its
            own and trains it alongside, adding its reconstruction error on the teacher's map: two stages in one, so
            that ``"200 * FT"`` is a term of a single run. The student's factor never trains the paraphraser.
        factor: channels of the factor as a fraction of the teacher's, for the paraphraser made here.
        batch_norm: whether translator and the paraphraser made here have any.
        channel_power: compare mean over channels of |f|^channel_power instead of f, as RepDistiller does with 2.
        p: of the distance.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger factor
    is average-pooled to the smaller.

    Raises:
        BadInput: the paraphraser has not been trained.

    >>> import torch
    >>> from potstill.losses import FT
    >>> student, teacher = torch.randn(8, 32, 8, 8), torch.randn(8, 64, 8, 8)
    >>> loss = FT(factor=0.5)
    >>> loss.build(student, teacher)
    >>> loss.encoder(student).shape == loss.paraphraser.encoder(teacher).shape == (8, 32, 8, 8)
    True
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self,
        paraphraser: Paraphraser | None = None,
        factor: Multiple = 0.5,
        batch_norm: bool = True,
        channel_power: Power | None = None,
        p: Literal[1, 2] = 1,
    ) -> None:
        super().__init__()
        self.trained = paraphraser is not None
        self.paraphraser = paraphraser or Paraphraser(factor, batch_norm)
        self.batch_norm = batch_norm
        self.channel_power = channel_power
        self.p = p
        if self.trained:
            self.paraphraser.requires_grad_(False).eval()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the translator, and a paraphraser if none was given, for maps of these shapes."""
        if not self.trained:
            self.paraphraser.build(teacher)
        channels, width = student.shape[1], self.paraphraser.width
        if width == 0:
            raise BadInput("FT: the paraphraser was never trained; first, Term(paraphraser, 'teacher.stage3') alone")
        self.encoder = _three_layers((channels, channels, width, width), self.batch_norm, nn.Conv2d).to(student)

    def train(self, mode: bool = True) -> "FT":
        """Set the mode; a given paraphraser stays in eval mode, whose statistics must not drift."""
        super().train(mode)
        if self.trained:
            self.paraphraser.eval()
        return self

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        factors = self.paraphraser.encoder(teacher)
        loss = factor_loss(self.encoder(student), factors.detach(), self.channel_power, self.p)
        if self.trained:
            return loss
        return loss + F.mse_loss(self.paraphraser.decoder(factors), teacher)


@checked
def factor_loss(student: Tensor, teacher: Tensor, channel_power: Power | None = None, p: Literal[1, 2] = 1) -> Tensor:
    """The distance of two factors (N, C, H, W), a scalar; see `FT`."""
    units = []
    for factor in pool_to_smaller(student, teacher):
        chosen = factor if channel_power is None else factor.abs().pow(channel_power).mean(dim=1)
        units.append(F.normalize(chosen.flatten(1), dim=1))
    return (units[0] - units[1]).abs().pow(p).mean()


def _three_layers(
    channels: tuple[int, int, int, int], batch_norm: bool, convolution: type[nn.Conv2d] | type[nn.ConvTranspose2d]
) -> nn.Sequential:
    name = "conv" if convolution is nn.Conv2d else "deconv"
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, out_width) in enumerate(pairwise(channels), start=1):
        layers[f"{name}{i}"] = convolution(width, out_width, 3, padding=1, bias=not batch_norm)
        if batch_norm:
            layers[f"bn{i}"] = BatchNorm(out_width)
        layers[f"relu{i}"] = nn.LeakyReLU(0.1)
    return nn.Sequential(layers)
