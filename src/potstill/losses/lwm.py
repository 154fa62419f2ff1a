"""Learning without memorizing."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.class_gradient import class_gradient
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller


class LwM(Loss):
    """The student sees the right class where the teacher sees it: their Grad-CAM maps agree.

        g = gradient of z[label] by the map a
        q = relu(sum over channels of (mean over positions of g) * a), flattened
        u(q) = q / ||q||;    L = mean of |u(q_s) - u(q_t)|

    Dhar, Singh, Peng, Wu and Chellappa, "Learning without memorizing", CVPR 2019, section 3.2:
    https://arxiv.org/abs/1811.08051. The paper distils against forgetting and explains the teacher's favourite class;
    here, as in the Knowledge-Distillation-Zoo (weight 0.4), the class is the label. The paper has a sum over positions.
    With soft labels y, z[label] is the sum over k of y_k z_k, which one-hot labels turn into the label's logit.

    Knowledge: features.

    Usual weight: 0.4, beside 1 of cross-entropy.

    Args:
        weighted: "map": the maps as above. "gradient": g in place of a in q, as the Zoo has it, which cannot tell
            positions apart in front of a global pooling.

    Shapes: student map (N, C, H, W), teacher map (N, C', H', W'), student and teacher logits (N, K) that were computed
    from them with autograd; labels: class indices (N,), or probabilities (N, K). A `Term` sees to the autograd, also
    for a frozen teacher. Of two sizes, the larger q is average-pooled to the smaller.

    Raises:
        BadInput: there is no graph from the logits back to the maps, or logits do not depend on them; or the labels do
            not fit the logits.

    >>> import torch
    >>> from potstill.losses import LwM
    >>> maps = torch.rand(8, 64, 8, 8, requires_grad=True)
    >>> logits = maps.mean(dim=(2, 3)) @ torch.randn(64, 10)
    >>> LwM()(maps, maps, logits, logits, torch.arange(8)).item()
    0.0
    >>> LwM()(maps, maps, logits, 3 * logits, 0.5 * torch.eye(10)[:8] + 0.05).item() < 1e-6  # soft labels
    True
    """

    taps = ("student.stage3", "teacher.stage3", "student", "teacher", "labels")
    needs_graph = True

    @checked
    def __init__(self, weighted: Literal["map", "gradient"] = "map") -> None:
        super().__init__()
        self.weighted = weighted
        self.looked = False

    def forward(
        self, student: Tensor, teacher: Tensor, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor
    ) -> Tensor:
        own_gradient = class_gradient(student_logits, labels, student, trainable=True)
        target_gradient = class_gradient(teacher_logits, labels, teacher, trainable=False)
        if not self.looked:  # once: to look, the host waits for a GPU
            self._refuse_maps_without_gradient((student, own_gradient), (teacher, target_gradient))
        own, target = self._attention(student, own_gradient), self._attention(teacher.detach(), target_gradient)
        own, target = pool_to_smaller(own, target)
        return F.l1_loss(F.normalize(own.flatten(1), dim=1), F.normalize(target.flatten(1), dim=1))

    def _refuse_maps_without_gradient(self, *pairs: tuple[Tensor, Tensor]) -> None:
        self.looked = True
        for name, (maps, gradient) in zip(("student", "teacher"), pairs, strict=True):
            if maps.any() and not gradient.any():
                raise BadInput(
                    f"LwM: the logits do not depend on the {name}'s map; tap an earlier one, since the last block of a "
                    "transformer may hand on its class token alone"
                )

    def _attention(self, maps: Tensor, gradient: Tensor) -> Tensor:
        # Under autocast maps come as they are, since a copy of another precision is not what the logits come from.
        maps, gradient = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (maps, gradient))
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        chosen = maps if self.weighted == "map" else gradient
        return (weights * chosen).sum(dim=1, keepdim=True).relu()
