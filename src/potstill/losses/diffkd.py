"""Knowledge diffusion: the student's features, without their noise."""

from collections import OrderedDict
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.denoising import TRAINED_STEPS, Denoiser, NoiseLevel, denoise, kept_signal
from potstill.losses.kd import KD
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller, with_positions
from potstill.ranges import Range, Temperature, Width


class DiffKD(Loss):
    """The student's features are the teacher's with noise: a denoiser learned on the teacher's cleans them first.

        x = g a + (1 - g) n,  a = align(s),  g = a sample's noise level,  n normal;    r = project(denoised x)
        L = mean of (r - t)^2 + mean of (denoiser(sqrt(A_k) t + sqrt(1 - A_k) n', k) - n')^2 [+ mean of (t' - dec(t))^2]

    Huang et al., "Knowledge diffusion for distillation", NeurIPS 2023: https://arxiv.org/abs/2305.15712. A_k is what is
    left of a signal after k of 1000 steps of noise. With an autoencoder, t = enc(t') is learned by the last part alone.
    Of logits, the first part is `KD`. Beside it the authors have cross-entropy, weight 1 each. As in their code, x is
    mixed without square roots, and the student's gradient runs through all calls of the denoiser, which learns from it,
    too. n, n' and k are drawn from torch's generator, by several processes each for its own images.

    Knowledge: features, responses. Trained parts: denoiser, noise level, align, project, and perhaps an autoencoder.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        autoencoder: the width of the teacher's map in it; by default there is none.
        steps: of the denoiser.
        temperature: of KD between logits.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'), or logits (N, K) of both; `build` needs a pair of them. Of
    two sizes, the larger map is average-pooled to the smaller first, where the original needs equal ones.

    >>> import torch
    >>> from potstill.losses import DiffKD
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.randn(8, 64, 4, 4)
    >>> loss = DiffKD(autoencoder=16)
    >>> loss.build(student, teacher)
    >>> loss.align, loss(student, teacher).shape
    (Conv2d(32, 16, kernel_size=(1, 1), stride=(1, 1)), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")
    kept: Tensor

    @checked
    def __init__(
        self,
        autoencoder: Width | None = None,
        steps: Annotated[int, Range(1, 100)] = 5,
        temperature: Temperature = 1.0,
    ) -> None:
        super().__init__()
        self.width, self.steps = autoencoder, steps
        self.divergence = KD(temperature)
        self.autoencoder: nn.ModuleDict | None = None

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make all parts for features of these shapes."""
        channels, target, flat = student.shape[1], teacher.shape[1], teacher.dim() == 2
        width = self.width or target
        if self.width:
            encoder = _pointwise(target, width)
            decoder = nn.Sequential(OrderedDict(conv=nn.Conv2d(width, target, 1)))
            self.autoencoder = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.align = nn.Conv2d(channels, width, 1)
        self.denoiser, self.adapter = Denoiser(width, flat), NoiseLevel(width, flat)
        self.project = _pointwise(width, width)
        self.register_buffer("kept", kept_signal(), persistent=False)
        self.to(student)

    def draw(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """n and n', each of the shape of maps (N, C, H, W), and k (N,)."""
        steps = torch.randint(TRAINED_STEPS, (len(maps),), device=maps.device)
        return torch.randn_like(maps), torch.randn_like(maps), steps

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        logits = teacher.dim() == 2
        student, teacher = pool_to_smaller(with_positions(student), with_positions(teacher))
        loss = student.new_zeros(())
        if self.autoencoder is not None:
            encoded = self.autoencoder["encoder"](teacher)
            loss, teacher = F.mse_loss(self.autoencoder["decoder"](encoded), teacher), encoded.detach()
        own = self.align(student)
        start, noise, steps = self.draw(own)
        level = self.adapter(own)
        cleaned = denoise(level * own + (1 - level) * start, self.kept, self.steps, self.denoiser)
        cleaned = self.project(cleaned)
        kept = self.kept[steps][:, None, None, None]
        noisy = kept.sqrt() * teacher + (1 - kept).sqrt() * noise
        loss = loss + F.mse_loss(self.denoiser(noisy, steps), noise)
        match = self.divergence(cleaned.flatten(1), teacher.flatten(1)) if logits else F.mse_loss(cleaned, teacher)
        return loss + match


def _pointwise(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(channels, out_channels, 1), bn=BatchNorm(out_channels)))
