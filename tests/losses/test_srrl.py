import torch
import torch.nn.functional as F

from potstill.losses import SRRL


def test_the_classifier_reads_the_mean_over_positions():
    student, teacher, classifier = torch.randn(6, 4, 3, 2), torch.randn(6, 5, 3, 2), torch.nn.Linear(5, 7)
    logits = torch.randn(6, 7)
    loss = SRRL(weight=3)
    loss.build(student, teacher, logits, classifier.weight, classifier.bias)
    loss.eval()
    own = F.relu(loss.connector.bn(loss.connector.conv(student))).flatten(2).mean(dim=2)
    target = teacher.flatten(2).mean(dim=2)
    expected = (own - target).square().mean() + 3 * (classifier(own) - logits).square().mean()
    value = loss(student, teacher, logits, classifier.weight, classifier.bias)
    torch.testing.assert_close(value, expected)
    pooled = loss(student, target, logits, classifier.weight, classifier.bias)
    torch.testing.assert_close(pooled, value)
    without_bias = loss(student, teacher, logits - classifier.bias, classifier.weight)
    torch.testing.assert_close(without_bias, value)
