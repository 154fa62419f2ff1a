"""Instance relationship graphs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import NotNegative

Network = tuple[Tensor, Tensor, Tensor, Tensor]  # two maps, features, logits


class IRG(Loss):
    """A batch is a graph: its samples (logits), their distances, and how far a stage moves each agree.

        D_ij = ||f_i - f_j||^2 / max;    M_i = ||b_i - a_i||^2 / max,  a and b the maps before and after a stage
        L = v * mean (z_s - z_t)^2 + e * mean over features, a, b of mean (D_s - D_t)^2 + t * mean (M_s - M_t)^2

    Liu et al., "Knowledge distillation via instance relationship graph", CVPR 2019, eq. 3 to 9:
    https://openaccess.thecvf.com/content_CVPR_2019/html/Liu_Knowledge_Distillation_via_Instance_Relationship_Graph_CVPR_2019_paper.html.
    As in the Knowledge-Distillation-Zoo, distances are divided by their maximum, through which gradients flow, and maps
    before and after a stage are made comparable by pooling the larger and averaging groups of channels of the wider.
    Batches without any distance (one sample, or all alike) have distances 0.

    Knowledge: responses, relations of samples and of stages.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        vertex: weight v of the logits.
        edge: weight e of the distances between samples.
        transformation: weight t of the way through a stage. A part of weight 0 is left out.

    Shapes: student and teacher are (map (N, C, H, W), later map (N, k*C, H', W'), features (N, D), logits (N, K)); all
    but the logits may differ between the two networks.

    Raises:
        BadInput: two maps of a network whose channels are no multiple of each other.

    >>> import torch
    >>> from potstill.losses import IRG
    >>> maps, logits = (torch.randn(8, 16, 16, 16), torch.randn(8, 32, 8, 8), torch.randn(8, 32)), torch.randn(8, 10)
    >>> IRG()((*maps, logits), (*maps, logits))
    tensor(0.)
    >>> IRG()((*maps, torch.zeros(8, 10)), (*maps, torch.ones(8, 10)))  # only the logits differ, and weigh 0.1
    tensor(0.1000)
    """

    whole_batch = True
    taps = (
        ("student.stage2", "student.stage3", "student.pooled", "student"),
        ("teacher.stage2", "teacher.stage3", "teacher.pooled", "teacher"),
    )

    @checked
    def __init__(self, vertex: NotNegative = 0.1, edge: NotNegative = 5.0, transformation: NotNegative = 5.0) -> None:
        super().__init__()
        if not (vertex or edge or transformation):
            raise BadInput("IRG: all three weights are 0")
        self.vertex, self.edge, self.transformation = vertex, edge, transformation

    def forward(self, student: Network, teacher: Network) -> Tensor:
        (a_s, b_s, f_s, z_s), (a_t, b_t, f_t, z_t) = student, teacher
        parts = []
        if self.vertex:
            parts.append(self.vertex * F.mse_loss(z_s, z_t))
        for ours, theirs in ((a_s, a_t), (b_s, b_t), (f_s, f_t)) if self.edge else ():
            parts.append(self.edge / 3 * F.mse_loss(_edges(ours), _edges(theirs)))
        if self.transformation:
            parts.append(self.transformation * F.mse_loss(_moves(a_s, b_s), _moves(a_t, b_t)))
        return torch.stack(parts).sum()


def _edges(features: Tensor) -> Tensor:
    rows = features.flatten(1)
    # Seen from the first row, all-equal rows are at distance 0 exactly, and rounding stays small beside the maximum.
    rows = rows - rows[:1].detach()
    products = rows @ rows.T
    squares = products.diagonal().unsqueeze(1) + products.diagonal() - 2 * products
    return _by_maximum(squares.clamp(min=0))


def _moves(first: Tensor, second: Tensor) -> Tensor:
    first, second = _average_to_narrower(*pool_to_smaller(first, second))
    return _by_maximum((second - first).square().flatten(1).sum(dim=1))


def _average_to_narrower(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    channels = min(first.shape[1], second.shape[1])
    if first.shape[1] % channels or second.shape[1] % channels:
        raise BadInput(f"IRG: channels of {tuple(first.shape)} and {tuple(second.shape)} are no multiple of each other")
    first, second = (
        maps if maps.shape[1] == channels else maps.reshape(len(maps), channels, -1, *maps.shape[2:]).mean(dim=2)
        for maps in (first, second)
    )
    return first, second


def _by_maximum(values: Tensor) -> Tensor:
    largest = values.max()
    return values / largest.masked_fill(largest == 0, 1)
