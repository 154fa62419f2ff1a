"""Losses that take labels: soft ones where they mean something, and what they say where they do not."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from potstill.distiller import Distiller, Term, freeze
from potstill.errors import BadInput
from potstill.losses import CE, CRD, DKD, KD, LwM, Sobolev
from potstill.losses.labels import class_indices, is_soft
from potstill.networks import create

N, K = 5, 4
LABELS = torch.tensor([2, 0, 3, 1, 2])


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def network(images, weights):
    """A map (N, 6, 4, 4) and logits (N, K), not linear in the images."""
    features = F.conv2d(images, weights[: 6 * 3].reshape(6, 3, 1, 1)).tanh()
    return features, features.square().mean(dim=(2, 3)) @ weights[6 * 3 :].reshape(6, K)


def value(name, labels, weights=None):
    """The loss ``name`` of a student of these ``weights``, on fixed images and with a fixed teacher."""
    images = draw(0, N, 3, 4, 4).requires_grad_()
    weights = draw(1, 6 * 3 + 6 * K) if weights is None else weights
    (own, logits), (target, teacher) = network(images, weights), network(images, draw(2, 6 * 3 + 6 * K))
    return {
        "CE": lambda: CE()(logits, labels),
        "KD": lambda: KD(guided=True)(logits, teacher, labels),
        "LwM": lambda: LwM()(own, target, logits, teacher, labels),
        "Sobolev": lambda: Sobolev()(logits, teacher, labels, images),
    }[name]()


def mixed(share=0.7):
    """Labels as mixup makes them."""
    return share * F.one_hot(LABELS, K) + (1 - share) * F.one_hot(LABELS.roll(1), K).double()


TAKE_SOFT = ("CE", "KD", "LwM", "Sobolev")


@pytest.mark.parametrize("name", TAKE_SOFT)
def test_one_hot_labels_are_the_classes(name):
    weights = draw(1, 6 * 3 + 6 * K).requires_grad_()
    hard, soft = value(name, LABELS, weights), value(name, F.one_hot(LABELS, K).double(), weights)
    assert hard > 0
    torch.testing.assert_close(soft, hard, rtol=1e-13, atol=1e-14)
    for gradients in zip(torch.autograd.grad(hard, weights), torch.autograd.grad(soft, weights), strict=True):
        torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", TAKE_SOFT)
def test_soft_labels_count_and_can_be_learned_from(name):
    assert value(name, mixed(0.7)) != value(name, mixed(0.6))
    assert gradcheck(lambda weights: value(name, mixed(), weights), draw(1, 6 * 3 + 6 * K).requires_grad_())


@pytest.mark.parametrize("name", ["KD", "LwM", "Sobolev"])
def test_classes_may_be_of_any_integer_type(name):
    for dtype in (torch.uint8, torch.int32):
        assert torch.equal(value(name, LABELS.to(dtype)), value(name, LABELS))


def test_guided_kd_counts_a_sample_by_the_probability_of_the_teachers_favourite_class():
    student, teacher = draw(0, 3, K), 5 * torch.eye(K).double()[[0, 1, 2]]
    labels = torch.tensor([[0.9, 0.1, 0, 0], [0.6, 0.4, 0, 0], [0, 0, 0, 1]]).double()
    first, second, _ = (KD()(student[i : i + 1], teacher[i : i + 1]) for i in range(3))
    loss = KD(guided=True)
    torch.testing.assert_close(loss(student, teacher, labels), (0.9 * first + 0.4 * second) / 1.3)
    torch.testing.assert_close(loss(student[1:], teacher[1:], labels[1:]), 0.4 * second)  # the divisor is 1 at least
    assert loss(student.float(), teacher.float(), labels).dtype == torch.float32


def test_guided_kd_takes_pixels_as_samples():
    student, teacher, labels = draw(0, 2, K, 3, 3), draw(1, 2, K, 3, 3), torch.arange(18).reshape(2, 3, 3) % K
    rows = [logits.movedim(1, -1).flatten(0, -2) for logits in (student, teacher)]
    soft = F.one_hot(labels, K).movedim(-1, 1).double()
    expected = KD(guided=True)(*rows, labels.flatten())
    torch.testing.assert_close(KD(guided=True)(student, teacher, labels), expected)
    torch.testing.assert_close(KD(guided=True)(student, teacher, soft), expected)


def test_a_soft_label_computed_from_the_images_is_a_constant():
    images, weights = draw(0, N, 3).requires_grad_(), draw(1, 3, K)
    logits = images @ weights
    labels = logits.softmax(dim=1)
    ours, constant = (Sobolev()(logits, -logits, y, images) for y in (labels, labels.detach()))
    assert torch.equal(ours, constant)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_mixed_batches_train_a_student(precision):
    generator = torch.Generator().manual_seed(0)
    batch = {"images": torch.randn(N, 3, 8, 8, generator=generator), "labels": mixed().float()}
    networks = {"student": create("resnet8", seed=0), "teacher": freeze(create("resnet8", seed=1))}
    batch["labels"] = F.pad(batch["labels"], (0, 6))  # of ten classes
    guided = KD(guided=True)
    terms = [Term(loss, *loss.taps) for loss in (CE(), guided, LwM(), Sobolev())]
    distiller = Distiller(networks, terms, example=batch)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        total, values = distiller(batch)
    total.backward()
    assert total.dtype == torch.float32
    assert all(value.isfinite() for value in values.values())
    assert networks["student"].conv1.weight.grad.isfinite().all()


def test_dkd_says_why_it_takes_no_soft_labels():
    loss, logits = DKD(), draw(0, N, K)
    with pytest.raises(BadInput, match=r"\(5, 4\) .*integers of shape \(5,\): DKD .* one label an image"):
        loss(logits, logits, mixed())
    batch = {"images": torch.randn(N, 3, 8, 8), "labels": F.pad(mixed(), (0, 6))}
    networks = {"student": create("resnet8", seed=0), "teacher": freeze(create("resnet8", seed=1))}
    distiller = Distiller(networks, [Term(loss, *loss.taps)], example=batch)
    with pytest.raises(BadInput, match="term 'DKD student' cannot take .*with mixup, use KD"):
        distiller(batch)


@pytest.mark.parametrize(
    ("settings", "refuses"),
    [({}, True), ({"contrast": "samples", "relaxed": True}, True), ({"contrast": "samples"}, False)],
)
def test_crd_takes_soft_labels_only_where_it_needs_none(settings, refuses):
    loss = CRD(samples=9, width=4, negatives=5, **settings)
    student, teacher, index = draw(0, N, 6), draw(1, N, 8), torch.arange(N)
    loss.build(student, teacher, index, LABELS)
    assert ("labels" in loss.taps) == refuses
    if refuses:
        with pytest.raises(BadInput, match=r"\(5, 4\) .* CRD draws .* class; with mixup, use contrast='batch'"):
            loss(student, teacher, index, mixed())
        assert (loss.classes == -1).all()
        assert loss(student, teacher, index, LABELS.byte()).isfinite()
    else:
        assert loss(student, teacher, index).isfinite()


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.double(),
        LABELS > 1,
        LABELS[:3],
        LABELS[:1],
        LABELS[:, None],
        F.one_hot(LABELS, K),
        mixed()[:1],
        mixed()[:, :3],
        mixed().to(torch.complex64),
    ],
    ids=["floats", "truths", "too few", "one", "a column", "one-hot integers", "a row", "other classes", "complex"],
)
def test_what_is_neither_is_refused(labels):
    logits = torch.zeros(N, K)
    shape = str(tuple(labels.shape)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(BadInput, match=rf"labels of shape {shape} .*logits \(5, 4\): .*integers of shape \(5,\)"):
        is_soft(labels, logits)
    with pytest.raises(BadInput, match=rf"labels of shape {shape} .*: this is why"):
        class_indices(labels, logits, "this is why")
    for name in ("KD", "LwM", "Sobolev"):
        with pytest.raises(BadInput, match="labels of shape"):
            value(name, labels)
    with pytest.raises(BadInput, match="labels of shape"):
        DKD()(logits, logits, labels)


def test_guided_kd_without_labels():
    with pytest.raises(BadInput, match="needs the labels"):
        KD(guided=True)(torch.zeros(N, K), torch.zeros(N, K))
