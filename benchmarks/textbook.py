"""The losses as their papers or first implementations write them, to measure ours against: see losses.py."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill import losses


def nst(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = (F.normalize(maps.flatten(2), dim=2) for maps in (student, teacher))

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a.unsqueeze(1) * b.unsqueeze(2)).sum(-1).pow(2)

    return kernel(t, t).mean() + kernel(s, s).mean() - 2 * kernel(s, t).mean()


def sp(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = student.flatten(1), teacher.flatten(1)
    return F.mse_loss(F.normalize(s @ s.T, dim=1), F.normalize(t @ t.T, dim=1))


def at(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = (F.normalize(maps.pow(2).mean(1).flatten(1)) for maps in (student, teacher))
    return (s - t).pow(2).mean()


def cc(student: Tensor, teacher: Tensor, gamma: float = 0.4, order: int = 2) -> Tensor:
    def correlations(features: Tensor) -> Tensor:
        unit = F.normalize(features, dim=1)
        cosines, total, factorial = unit @ unit.T, torch.zeros(len(unit), len(unit)), 1.0
        for p in range(order + 1):
            factorial *= max(p, 1)
            total = total + torch.exp(torch.tensor(-2 * gamma)) * (2 * gamma) ** p / factorial * cosines.pow(p)
        return total

    return F.mse_loss(correlations(student), correlations(teacher))


def squared_distances(rows: Tensor) -> Tensor:
    lengths = rows.pow(2).sum(1)
    squares = (lengths.unsqueeze(1) + lengths.unsqueeze(0) - 2 * rows @ rows.T).clamp(min=1e-12)
    return squares * (1 - torch.eye(len(rows)))


def rkd(student: Tensor, teacher: Tensor) -> Tensor:
    def distances(rows: Tensor) -> Tensor:
        found = squared_distances(rows).clamp(min=1e-12).sqrt() * (1 - torch.eye(len(rows)))
        return found / found[found > 0].mean()

    def angles(rows: Tensor) -> Tensor:
        unit = F.normalize(rows.unsqueeze(0) - rows.unsqueeze(1), dim=2)
        return torch.bmm(unit, unit.transpose(1, 2))

    distance = F.smooth_l1_loss(distances(student), distances(teacher))
    return 25 * distance + 50 * F.smooth_l1_loss(angles(student), angles(teacher))


def pkt(student: Tensor, teacher: Tensor, eps: float = 1e-7) -> Tensor:
    def neighbours(features: Tensor) -> Tensor:
        unit = features / (features.pow(2).sum(1, keepdim=True).sqrt() + eps)
        similarities = (unit @ unit.T + 1) / 2
        return similarities / similarities.sum(1, keepdim=True)

    p_s, p_t = neighbours(student), neighbours(teacher)
    return (p_t * torch.log((p_t + eps) / (p_s + eps))).mean()


def irg(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    def edges(features: Tensor) -> Tensor:
        squares = squared_distances(features.flatten(1))
        return squares / squares.max()

    def moves(first: Tensor, second: Tensor) -> Tensor:
        first = F.adaptive_avg_pool2d(first, second.shape[2:])
        squares = ((second[:, 0::2] + second[:, 1::2]) / 2 - first).pow(2).sum((1, 2, 3))
        return squares / squares.max()

    vertex = F.mse_loss(student[3], teacher[3])
    edge = sum(F.mse_loss(edges(s), edges(t)) for s, t in zip(student[:3], teacher[:3], strict=True)) / 3
    return 0.1 * vertex + 5 * edge + 5 * F.mse_loss(moves(*student[:2]), moves(*teacher[:2]))


def fsp(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    def flow(first: Tensor, second: Tensor) -> Tensor:
        first = F.adaptive_avg_pool2d(first, second.shape[2:]).flatten(2)
        return torch.bmm(first, second.flatten(2).transpose(1, 2)) / first.shape[2]

    pairs = range(len(student) - 1)
    return sum(F.mse_loss(flow(*student[i : i + 2]), flow(*teacher[i : i + 2])) for i in pairs)


def kdsvd(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    def leading(maps: Tensor, most: int) -> Tensor:
        rows = torch.linalg.svd(maps.flatten(2).transpose(1, 2), full_matrices=False).Vh[:, :most]
        return rows.transpose(1, 2)

    def closeness(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-((a.unsqueeze(2) - b.unsqueeze(1)) ** 2) / 8)

    total, before = torch.zeros(()), None
    for maps_s, maps_t in zip(student, teacher, strict=True):
        v_s, v_t = leading(maps_s, 4), leading(maps_t, 1)
        cosines = v_s.transpose(1, 2) @ v_t
        chosen = cosines.abs() == cosines.abs().amax(1, keepdim=True)
        v_s = v_s @ torch.where(chosen, cosines.sign(), 0)
        if before is not None:
            total = total + (closeness(v_s, before[0]) - closeness(v_t, before[1])).pow(2).sum() / len(v_s)
        before = v_s, v_t
    return total


class GatheredCRD(losses.CRD):
    """Scores as both originals compute them: the rows of the bank are gathered for each negative."""

    def compare(self, student: Tensor, teacher: Tensor, index: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        """The loss against given rows of the banks, which it updates at once."""
        e_s, e_t = F.normalize(self.embed_s(student)), F.normalize(self.embed_t(teacher))
        contrast, count = torch.cat((positive.unsqueeze(1), negatives), 1), len(index)
        ratio, total = negatives.shape[1] / len(self.memory_s), torch.zeros(())
        for e, memory, log_z in ((e_s, self.memory_t, self.log_z_s), (e_t, self.memory_s, self.log_z_t)):
            rows = memory.index_select(0, contrast.view(-1)).view(count, -1, self.width)
            scores = torch.exp(torch.bmm(rows, e.unsqueeze(2)).squeeze(2) / self.temperature)
            if log_z.isinf():
                log_z.copy_((scores.detach().mean() * len(memory)).log())
            scores = scores / log_z.exp()
            below = scores + ratio + self.eps
            logs = torch.log(scores[:, 0] / below[:, 0]).sum() + torch.log(ratio / below[:, 1:]).sum()
            total = total - logs / count
        with torch.no_grad():
            for e, memory in ((e_s, self.memory_s), (e_t, self.memory_t)):
                memory[index] = F.normalize(self.momentum * memory[index] + (1 - self.momentum) * e)
        return total
