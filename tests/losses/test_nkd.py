import torch
import torch.nn.functional as F

from potstill.losses import DKD, KD, NKD
from potstill.losses.nkd import target_entropy


def inputs(classes=6):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(4, classes, generator=generator).double() for _ in range(2))
    return student, teacher, torch.arange(4) % classes


def test_the_rest_is_that_of_dkd_and_the_teachers_entropy():
    student, teacher, labels = inputs()
    rest = NKD(gamma=1, temperature=2)(student, teacher, labels) - NKD(gamma=0)(student, teacher, labels)
    own = NKD(gamma=1, temperature=2)(teacher, teacher, labels) - NKD(gamma=0)(teacher, teacher, labels)
    torch.testing.assert_close(rest - own, DKD(alpha=0, beta=1, temperature=2)(student, teacher, labels))


def test_two_classes_and_a_mixture():
    student, teacher, labels = inputs(classes=2)
    assert NKD(gamma=5)(student, teacher, labels) == NKD(gamma=0)(student, teacher, labels)
    student, teacher, labels = inputs()
    mixed = 0.6 * F.one_hot(labels, 6) + 0.4 * F.one_hot(labels.flip(0), 6)
    assert NKD()(student, teacher, mixed.double()) == NKD()(student, teacher, labels)


def test_the_labels_part_of_all_labels_is_kd():
    student, teacher, _ = inputs()
    parts = [target_entropy(student, teacher, torch.full((4,), label)) for label in range(6)]
    entropy = -(teacher.softmax(1) * teacher.log_softmax(1)).sum(1)
    torch.testing.assert_close((sum(parts) - entropy).mean(), KD(temperature=1)(student, teacher))
