"""Multi-level logit distillation."""

from typing import Literal

from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import divergences, z_scores
from potstill.losses.loss import Loss
from potstill.ranges import Temperature

Views = Tensor | tuple[Tensor, Tensor]
BESIDE = (3.0, 5.0, 2.0, 6.0)
"""The temperatures beside the first; the authors' code has the last two see the wrong view."""


class MLKD(Loss):
    """KD at five temperatures, and at each, how samples relate by their classes, and classes by their samples.

        L = sum over T of (a * T^2 * KL(P_t || P_s) + b / K * |P_t' P_t - P_s' P_s|^2 + a / N * |P_t P_t' - P_s P_s'|^2)
        P = softmax(z / T), (N, K),    a, b = the parts of samples and of classes that the teacher is less sure of

    Jin, Wang and Lin, "Multi-level logit distillation", CVPR 2023:
    https://openaccess.thecvf.com/content/CVPR2023/html/Jin_Multi-Level_Logit_Distillation_CVPR_2023_paper.html. T is
    the given one, and 3, 5, 2 and 6. This is the authors' published code, by which their numbers were made. There, a
    and b are means of masks: samples whose largest probability, and classes whose sum of probabilities, is not above
    the median. What was to be masked had been summed before, so that a and b are about one half. Of a strong view of
    the images beside the weak one, it adds KD at T, 3 and 5; 2 and 6 come from the weak view a second time.
    ``corrected`` masks samples and classes before their mean, and has all terms of both views, with the weak one's
    masks.

    Knowledge: responses, relations of samples and of classes.

    Usual weight: 0.9, beside 0.1 of cross-entropy of each view.

    Args:
        temperature: the first one.
        views: 2, with each image weakly augmented and, in the batch's entry ``strong``, strongly: recipes give it for
            small data sets, by RandAugment(2, 10) after crop and mirroring; 1 as in the code of refined logits.
        corrected: what the authors' code seems to mean, see above; no published number is of it.
        standardize: z-scores of the logits first, in the divergence alone; Sun et al., "Logit standardization", CVPR
            2024.

    Shapes: student and teacher logits (N, K), or pairs of those of the weak and of the strong view.

    Raises:
        BadInput: student and teacher have different classes, or not the views that were asked for.

    >>> import torch
    >>> from potstill.losses import MLKD
    >>> student, teacher = torch.randn(8, 10), torch.randn(8, 10)
    >>> MLKD()(student, teacher) > MLKD()(student, student)
    tensor(True)
    >>> MLKD(views=2).taps
    (('student', 'student@strong'), ('teacher', 'teacher@strong'))
    """

    whole_batch = True

    @checked
    def __init__(
        self,
        temperature: Temperature = 4.0,
        views: Literal[1, 2] = 1,
        corrected: bool = False,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        self.temperatures = (temperature, *BESIDE)
        self.views, self.corrected, self.standardize = views, corrected, standardize
        two = ("student", "student@strong"), ("teacher", "teacher@strong")
        self.taps: tuple[str | tuple[str, str], ...] = ("student", "teacher") if views == 1 else two

    def forward(self, student: Views, teacher: Views) -> Tensor:
        divergence, classes, samples = self.parts(student, teacher)
        return divergence + classes + samples

    def parts(self, student: Views, teacher: Views) -> tuple[Tensor, Tensor, Tensor]:
        """The three terms: the divergence, the relations of classes, those of samples."""
        pairs = self._pairs(student, teacher)
        sure = pairs[0][1].softmax(dim=1)
        a, b = _not_above_median(sure.amax(dim=1)), _not_above_median(sure.sum(dim=0))
        if not self.corrected:
            a, b = a.mean(), b.mean()
        divergence, classes, samples = sure.new_zeros(3)
        for s, t in pairs if self.corrected else pairs[:1]:
            for temperature in self.temperatures:
                divergence = divergence + (a * self._divergences(s, t, temperature)).mean()
                p_s, p_t = ((logits / temperature).softmax(dim=1) for logits in (s, t))
                classes = classes + (b * _squares(p_s.T, p_t.T)).mean()
                samples = samples + (a * _squares(p_s, p_t)).mean()
        if len(pairs) == 2 and not self.corrected:
            seen = (pairs[1],) * 3 + (pairs[0],) * 2
            for (s, t), temperature in zip(seen, self.temperatures, strict=True):
                divergence = divergence + self._divergences(s, t, temperature).mean()
        return divergence, classes, samples

    def _pairs(self, student: Views, teacher: Views) -> list[tuple[Tensor, Tensor]]:
        """Logits of student and teacher, of each view."""
        ours, theirs = ((x,) if isinstance(x, Tensor) else tuple(x) for x in (student, teacher))
        if not len(ours) == len(theirs) == self.views:
            raise BadInput(f"MLKD(views={self.views}) takes logits of as many views of student and teacher")
        for s, t in (pairs := list(zip(ours, theirs, strict=True))):
            if s.shape != t.shape:
                raise BadInput(f"MLKD: logits {tuple(s.shape)} and {tuple(t.shape)} differ in shape")
        return pairs

    def _divergences(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        if self.standardize:
            student, teacher = z_scores(student), z_scores(teacher)
        return divergences(student, teacher, temperature) * temperature**2


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """The summed squares of each row of the difference of two Gram matrices of rows."""
    return (b @ b.T - a @ a.T).square().sum(dim=1)


def _not_above_median(values: Tensor) -> Tensor:
    """1 where a value is not above the median of all, otherwise 0."""
    ordered, half = values.sort().values, len(values) // 2
    median = (ordered[(len(values) - 1) // 2] + ordered[half]) / 2
    return (values <= median).to(values)
