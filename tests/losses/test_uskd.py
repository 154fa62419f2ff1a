import torch
import torch.nn.functional as F

from potstill.losses import USKD


def built(**settings):
    torch.manual_seed(0)
    features, logits = torch.randn(5, 8).double(), (2 * torch.randn(5, 4)).double()
    loss = USKD(**settings)
    loss.build((features, logits), torch.arange(5) % 4)
    return loss, features, logits, torch.arange(5) % 4


def test_its_weaker_head_learns_smoothed_labels():
    loss, features, logits, labels = built(alpha=0, beta=0, mu=2, smoothing=0.2)
    expected = 2 * F.cross_entropy(loss.weak(features), labels, label_smoothing=0.2)
    torch.testing.assert_close(loss((features, logits), labels), expected)


def test_soft_labels_of_one_class_are_that_class():
    loss, features, logits, labels = built()
    soft = F.one_hot(labels, 4).double()
    torch.testing.assert_close(loss((features, logits), soft), loss((features, logits), labels))


def test_the_wrong_classes_by_hand_and_by_either_rank():
    values = {}
    for ranks, of in (("probabilities", lambda logits: logits.softmax(1)), ("logarithms", lambda z: z.log_softmax(1))):
        loss, features, logits, labels = built(alpha=0, beta=1, mu=0, ranks=ranks)
        total = 0
        for w, s, z, y in zip(loss.weak(features).softmax(1), of(logits), logits, labels, strict=True):
            score = w / (1 - w[y] + 1e-6) + s / (1 - s[y] + 1e-6)
            order = sorted(range(4), key=lambda c: -score[c].item())
            zipf = {c: 1 / (1 + order.index(c)) for c in range(4) if c != y}
            log_q = z[list(zipf)].log_softmax(0)
            total -= sum(weight * log for weight, log in zip(zipf.values(), log_q, strict=True)) / sum(zipf.values())
        values[ranks] = loss((features, logits), labels)
        torch.testing.assert_close(values[ranks], total / 5)
    assert values["probabilities"] != values["logarithms"]


def test_maps_are_averaged():
    loss, features, logits, labels = built()
    maps = features[:, :, None, None].expand(-1, -1, 3, 3)
    torch.testing.assert_close(loss((maps, logits), labels), loss((features, logits), labels))
