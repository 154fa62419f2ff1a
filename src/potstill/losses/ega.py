"""Embedding graph alignment."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.centred import centred
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative


class EGA(Loss):
    """A batch is a graph: each sample is correlated with itself in the other network only, and alike with its peers.

        c(a, b) = correlation of the features of two samples
        L = w_n * ||c(t_i, s_j) - I|| + w_e * ||c(t_i, t_j) - c(s_i, s_j)||,  Frobenius norms over i, j

    Ma, Chen and Akata, "Distilling knowledge from self-supervised teacher by embedding graph alignment", BMVC 2022,
    section 3: https://arxiv.org/abs/2211.13264. Norms, not means: the loss grows with the batch. A sample whose
    features are all equal is correlated with none, and gets no gradient; it is nan in the port that was compared.

    Knowledge: relations of samples. Trained parts: an embedding of the student's features, if the widths differ.

    Usual weight: no published one was at hand.

    Args:
        node: weight w_n.
        edge: weight w_e. A part of weight 0 is left out.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened. If the widths differ, `build` makes a
    linear embedding of the student's features.

    >>> import torch
    >>> from potstill.losses import EGA
    >>> features = torch.randn(8, 32)
    >>> bool(EGA(node=0)(3 * features + 1, features) < 1e-5)  # scale and offset do not matter
    True
    >>> bool(EGA(node=0)(features.flip(0), features) > 0.1)
    True
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, node: NotNegative = 1.0, edge: NotNegative = 0.3) -> None:
        super().__init__()
        if not (node or edge):
            raise BadInput("EGA: both weights are 0")
        self.node, self.edge = node, edge
        self.embed: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the embedding, if need be, for features of these widths."""
        own, width = student.flatten(1).shape[1], teacher.flatten(1).shape[1]
        if own != width:
            self.embed = nn.Linear(own, width).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        s, t = (unit_length(centred(f.flatten(1), dim=1)) for f in (self.embed(student.flatten(1)), teacher))
        parts = []
        if self.node:
            itself = torch.eye(len(s), dtype=s.dtype, device=s.device)
            parts.append(self.node * torch.linalg.vector_norm(t @ s.T - itself))
        if self.edge:
            parts.append(self.edge * torch.linalg.vector_norm(t @ t.T - s @ s.T))
        return torch.stack(parts).sum()
