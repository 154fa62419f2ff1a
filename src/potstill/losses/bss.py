"""Boundary supporting samples: distillation on adversarial images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.labels import is_soft
from potstill.losses.loss import Loss
from potstill.ranges import Count, Epsilon, Positive, Temperature
from potstill.ranks.rows import own_part


class BSS(Loss):
    """The student imitates the teacher on images moved to the teacher's decision boundary, where its shape shows.

        L = KL(softmax(z_t / T) || softmax(z_s / T)), summed over classes, mean over the attacked images

    Heo, Lee, Yun and Choi, "Knowledge distillation with adversarial samples supporting decision boundary", AAAI 2019,
    section 3: https://arxiv.org/abs/1805.05532. There is no T^2. The images come from a `BoundaryAttack`, a network of
    the distiller called ``attack``, say: ``Term(BSS(), "student@attack", "teacher@attack")``. Where no image qualifies,
    the loss is 0.

    Knowledge: responses.

    Usual weight: linear(2, 160) from epoch 10 on, beside 1 of cross-entropy.

    Args:
        temperature: T.

    Shapes: student and teacher logits (N, K) of the attacked images; N may be 0.

    >>> import torch
    >>> from potstill.losses import BSS, KD
    >>> student, teacher = torch.eye(10)[:4], torch.eye(10)[1:5]  # logits of four attacked images
    >>> torch.isclose(9 * BSS(temperature=3)(student, teacher), KD(temperature=3)(student, teacher))
    tensor(True)
    >>> BSS()(student[:0], teacher[:0])  # none qualified
    tensor(0.)
    """

    @checked
    def __init__(self, temperature: Temperature = 3.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_student = F.log_softmax(student / self.temperature, dim=1)
        log_teacher = F.log_softmax(teacher / self.temperature, dim=1)
        return F.kl_div(log_student, log_teacher, reduction="sum", log_target=True) / max(1, len(student))


class BoundaryAttack(nn.Module):
    """Images (M, C, H, W) on a teacher's decision boundary: some of a batch's, moved there.

    As a network of a distiller it is called with ``inputs={"attack": ("images", "labels", "student", "teacher")}``, and
    others run on what it returns: ``student@attack``. Of several processes that train one run, each chooses among the
    images of all, and attacks its part of those.

    Args:
        teacher: whose boundary; frozen.
        most: how many images of a batch at most, see `base_samples`.
    """

    whole_batch = True

    @checked
    def __init__(self, teacher: nn.Module, most: Count = 32) -> None:
        super().__init__()
        self.teacher, self.most = teacher, most

    def forward(self, images: Tensor, labels: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
        """Choose among ``images`` by both networks' logits (N, K), and attack; no row if none qualifies.

        Labels are (N,) classes or (N, K) probabilities.
        """
        dtype = torch.promote_types(student.dtype, torch.float32)
        student, teacher = student.to(dtype), teacher.to(dtype)
        # Of soft labels the likeliest class: only images that both networks get right are attacked; it is theirs too.
        labels = labels.argmax(dim=1) if is_soft(labels, student) else labels
        chosen = base_samples(student, teacher, labels, self.most)
        targets = attack_classes(teacher[chosen], torch.rand(len(chosen), device=images.device))
        chosen, targets = own_part(chosen), own_part(targets)
        if len(chosen) == 0:
            return images[chosen]
        return boundary_attack(self.teacher, images[chosen], labels[chosen], targets)


@torch.no_grad()
@checked
def base_samples(
    student: Tensor, teacher: Tensor, labels: Tensor, most: Count, temperature: Temperature = 1.0
) -> Tensor:
    """Which samples to attack: the indices (M,) of those that both networks get right, ``most`` of them at most.

    Of more, those whose probabilities of the wrong classes differ most, summed as squares, in descending order.
    Shapes: student and teacher logits (N, K), labels (N,).
    """
    right = (student.argmax(dim=1) == labels) & (teacher.argmax(dim=1) == labels)
    candidates = right.nonzero().flatten()
    if len(candidates) <= most:
        return candidates
    differences = (teacher / temperature).softmax(dim=1) - (student / temperature).softmax(dim=1)
    distances = differences.square().scatter(1, labels[:, None], 0).sum(dim=1)
    return candidates[distances[candidates].argsort(descending=True)[:most]]


@torch.no_grad()
def attack_classes(teacher: Tensor, uniform: Tensor) -> Tensor:
    """Towards which class to move each sample: a draw (N,) of the classes but the teacher's first, by probability.

    Shapes: teacher logits (N, K); uniform (N,), random numbers in [0, 1).
    """
    chances, classes = teacher.softmax(dim=1).sort(dim=1, descending=True)
    sums = chances[:, 1:].cumsum(dim=1)
    drawn = torch.searchsorted(sums, uniform[:, None] * sums[:, -1:])
    return classes[:, 1:].gather(1, drawn).squeeze(1)


@checked
def boundary_attack(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    targets: Tensor,
    steps: Count = 10,
    step_size: Positive = 0.3,
    eps: Epsilon = 1e-4,
    limit: Positive = 2.5,
) -> Tensor:
    """Move images (N, C, H, W) from their labels (N,) towards the targets (N,), until ``network`` is in two minds.

        x <- clamp(x + step_size * (p_label - p_target + eps) * g / ||g||),    g = gradient of p_target - p_label by x

    The paper's section 3.2 in the form of the Knowledge-Distillation-Zoo. An image that has crossed, or whose gradient
    is 0 (nan there), stays. Only images are differentiated: no parameter gets a gradient, frozen or not, where the Zoo
    leaves some. The network's mode is the caller's: eval, for a teacher.

    Args:
        network: maps images to logits (N, K).
        images: as the network takes them, normalised.
        labels: what they show.
        targets: where to move each.
        steps: how many, all taken.
        step_size: 1 moves by the whole difference of the two probabilities.
        eps: keeps images moving at the boundary.
        limit: images stay within plus and minus this.
    """
    for _ in range(steps):
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = network(images)
            chances = logits.softmax(dim=1)
            differences = (chances.gather(1, targets[:, None]) - chances.gather(1, labels[:, None])).squeeze(1)
            (gradient,) = torch.autograd.grad(differences.sum(), images)
        with torch.no_grad():
            lengths = step_size * (logits.argmax(dim=1) == labels) * (eps - differences)
            # A sure network's gradients are so small that their squares may underflow: scale them first.
            peaks = gradient.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
            directions = F.normalize((gradient / peaks).flatten(1), dim=1).view_as(images)
            images = (images + lengths[:, None, None, None] * directions).clamp(-limit, limit)
    return images.detach()
