"""ACDC: a pointwise convolution whose matrix is a product of diagonal matrices and cosine transforms."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.ranges import Count, Layers


class ACDC(nn.Module):
    """Mixes channels at every place by K layers of A C D C^-1: two numbers a channel and layer instead of a matrix.

        y = x (A_1 C P D_1 C^-1 P) ... (A_K C P D_K C^-1 P)

    x is a row of N channels, C the orthonormal discrete cosine transform, A_k and D_k diagonal, P a perfect shuffle:
    the even channels, then the odd ones. There is no activation in between, so that the layers are one matrix. It is
    worked out once a forward pass, by FFT, whatever the number of images and pixels. N is the larger of ``inputs`` and
    ``outputs``: channels that are missing repeat from the first one, and of those too many every outputs-th is summed.

    Moczulski et al. have no P between C and D, and ReLU after every layer in their image classifier. Moonshine's author
    multiplies the layers, adds that P, and starts A and D at 1 with a deviation of 0.01; all three are taken from
    there. He asks for 12 layers and builds 11, because the last is dropped: that is ``layers=11`` here. His weight
    decay is 8.8e-6 in place of 5e-4: with the usual one, he could not train a wide ResNet of these.

    Maps (N, inputs, H, W) to (N, outputs, H, W). ``matrix()`` is the equal dense one, (outputs, inputs).

    Source: Moczulski et al., "ACDC: A Structured Efficient Linear Layer", ICLR 2016, https://arxiv.org/abs/1511.05946,
    equation 1 and section 6; https://github.com/gngdb/pytorch-acdc, which pytorch-moonshine imports
    """

    @checked
    def __init__(self, inputs: Count, outputs: Count, layers: Layers = 12, bias: bool = False) -> None:
        super().__init__()
        self.inputs, self.outputs, self.layers = inputs, outputs, layers
        self.a = nn.Parameter(torch.empty(layers, max(inputs, outputs)))
        self.d = nn.Parameter(torch.empty(layers, max(inputs, outputs)))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both diagonals near 1; the bias starts at 0."""
        nn.init.normal_(self.a, mean=1, std=0.01)
        nn.init.normal_(self.d, mean=1, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of ``x`` (N, inputs, H, W)."""
        return F.conv2d(x, self.matrix()[:, :, None, None], self.bias)

    def matrix(self) -> Tensor:
        """The dense matrix of all layers, (outputs, inputs): what they make of each input channel alone."""
        size = self.a.shape[1]
        channels = torch.arange(size, device=self.a.device)
        shuffled = torch.cat((channels[::2], channels[1::2]))
        rows = torch.eye(self.inputs, device=self.a.device, dtype=self.a.dtype)[:, channels % self.inputs]
        for a, d in zip(self.a, self.d, strict=True):
            rows = dct(rows * a)[:, shuffled] * d
            rows = inverse_dct(rows)[:, shuffled]
        whole = F.pad(rows, (0, -size % self.outputs))
        return whole.view(self.inputs, -1, self.outputs).sum(dim=1).T

    def extra_repr(self) -> str:
        """The numbers in ``print(layer)``."""
        return f"{self.inputs}, {self.outputs}, layers={self.layers}, bias={self.bias is not None}"


def dct(x: Tensor) -> Tensor:
    """Orthonormal discrete cosine transform (DCT-II) along the last axis, (..., N) -> (..., N).

        X_k = s_k sum over n of x_n cos(pi (2 n + 1) k / (2 N)),  s_0 = sqrt(1 / N), s_k = sqrt(2 / N)

    Source: Makhoul, "A fast cosine transform in one and two dimensions", IEEE TASSP 1980: one FFT of the same length,
    of the even elements followed by the odd ones backwards
    """
    even_odd = torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), dim=-1)
    turn, scale = _turn_and_scale(x)
    product: Tensor = torch.fft.fft(even_odd) * turn
    return product.real * scale


def inverse_dct(x: Tensor) -> Tensor:
    """What undoes `dct`, (..., N) -> (..., N): its transpose."""
    turn, scale = _turn_and_scale(x)
    unscaled = x / scale
    mirrored = F.pad(unscaled[..., 1:].flip(-1), (1, 0))
    even_odd = torch.fft.ifft(torch.complex(unscaled, -mirrored) * turn.conj()).real
    places = torch.arange(x.shape[-1], device=x.device)
    restored: Tensor = even_odd[..., torch.where(places % 2 == 0, places // 2, x.shape[-1] - 1 - places // 2)]
    return restored


def _turn_and_scale(x: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of `dct` after its FFT, complex and real, each (N)."""
    size = x.shape[-1]
    k = torch.arange(size, device=x.device, dtype=x.dtype)
    turn = torch.polar(torch.ones_like(k), -math.pi / (2 * size) * k)
    scale = torch.cat((k.new_full((1,), math.sqrt(1 / size)), k.new_full((size - 1,), math.sqrt(2 / size))))
    return turn, scale
