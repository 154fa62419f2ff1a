import pytest
import torch
import torch.nn.functional as F

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import CE, CRD, memory_bank
from potstill.losses.class_lists import draw_by_class, sorted_lists
from potstill.losses.memory_bank import draw_others, products, update
from potstill.networks import create
from potstill.term import Term

INDEX = torch.tensor([3, 0, 7])
WAYS = {"whole": (100, 2**26), "in parts": (100, 20), "gathered": (0, 2**26)}
LABELS = torch.tensor([1, 0, 1])


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def made(**settings):
    torch.manual_seed(0)
    loss = CRD(**{"samples": 9, "width": 4, "negatives": 5, **settings})
    student, teacher = features(0, 3, 6), features(1, 3, 8)
    loss.build(student, teacher, INDEX)
    return loss, student.requires_grad_(), teacher


def literal(loss, student, teacher, positive, negatives):
    """With gathered rows and every probability written out, for the first batch."""
    total, rows = 0.0, torch.cat((positive.unsqueeze(1), negatives), 1)
    for features, embed, memory in ((student, loss.embed_s, loss.memory_t), (teacher, loss.embed_t, loss.memory_s)):
        e = F.normalize(embed(features))
        scores = torch.exp((memory[rows] * e.unsqueeze(1)).sum(2) / loss.temperature)
        scores = scores / (scores.detach().mean() * len(memory))
        ratio = negatives.shape[1] / len(memory)
        h = scores / (scores + ratio + loss.eps)
        rest = ratio / (scores + ratio + loss.eps)
        total = total - (h[:, 0].log().sum() + rest[:, 1:].log().sum()) / len(e)
    return total


def test_equals_the_written_out_form():
    loss, student, teacher = made()
    rows = INDEX, torch.tensor([[1, 1, 2, 5, 8], [4, 3, 2, 1, 7], [0, 1, 2, 3, 4]])
    expected = literal(loss, student, teacher, *rows)
    value = loss.compare(student, teacher, INDEX, *rows)
    torch.testing.assert_close(value, expected)
    mine, theirs = (torch.autograd.grad(v, [student, *loss.parameters()]) for v in (value, expected))
    for gradient, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(gradient, other)


@pytest.mark.parametrize(("pays", "at_once"), WAYS.values(), ids=WAYS)
def test_products_are_the_same_however_computed(monkeypatch, pays, at_once):
    monkeypatch.setattr(memory_bank, "PRODUCT_PAYS", pays)
    monkeypatch.setattr(memory_bank, "MAX_ELEMENTS", at_once)
    vectors, bank, rows = features(0, 3, 4).requires_grad_(), features(1, 9, 4), torch.randint(9, (3, 5))
    found = products(vectors, bank, rows)
    torch.testing.assert_close(found, torch.einsum("nd,nkd->nk", vectors, bank[rows]))
    (gradient,) = torch.autograd.grad(found, vectors, weights := features(2, 3, 5))
    torch.testing.assert_close(gradient, torch.einsum("nk,nkd->nd", weights, bank[rows]))


def test_the_backward_pass_updates_the_banks():
    loss, student, teacher = made()
    before = loss.memory_s.clone(), loss.memory_t.clone()
    value = loss(student, teacher, INDEX, LABELS)
    assert torch.equal(loss.memory_s, before[0])
    assert torch.equal(loss.memory_t, before[1])
    value.backward()
    pairs = ((loss.memory_s, before[0], loss.embed_s(student)), (loss.memory_t, before[1], loss.embed_t(teacher)))
    for now, old, embedding in pairs:
        expected = old.clone()
        expected[INDEX] = F.normalize((old[INDEX] + F.normalize(embedding)) / 2)
        torch.testing.assert_close(now, expected)


def test_neither_eval_mode_nor_no_grad_changes_anything():
    loss, student, teacher = made(contrast="samples")
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()(student, teacher, INDEX).backward()
    with torch.no_grad():
        loss(student, teacher, INDEX)
    assert all(torch.equal(before[name], value) for name, value in loss.state_dict().items())


def test_the_normalisation_stays_that_of_the_first_batch_and_is_saved():
    loss, student, teacher = made()
    loss(student, teacher, INDEX, LABELS).backward()
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    assert {"memory_s", "memory_t", "log_z_s", "log_z_t", "classes"} <= state.keys()
    assert state["log_z_s"].isfinite()
    loss(3 * student, -teacher, INDEX, LABELS).backward()
    assert torch.equal(loss.log_z_s, state["log_z_s"])
    resumed, *_ = made()
    resumed.load_state_dict(state)
    loss.load_state_dict(state)
    values = []
    for one in (loss, resumed):
        torch.manual_seed(1)
        values.append(one(student, teacher, INDEX, LABELS))
    assert torch.equal(*values)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_momentum_is_the_share_of_what_was_there(momentum):
    loss, student, teacher = made(momentum=momentum)
    before = loss.memory_s.clone()
    loss(student, teacher, INDEX, LABELS).backward()
    new = F.normalize(loss.embed_s(student))
    torch.testing.assert_close(loss.memory_s[INDEX], F.normalize(momentum * before[INDEX] + (1 - momentum) * new))


def test_of_an_index_given_twice_the_last_one_counts():
    bank, index, vectors = torch.zeros(4, 2), torch.tensor([2, 1, 2, 2, 0]), F.normalize(torch.rand(5, 2))
    update(bank, index, vectors, momentum=0.5)
    torch.testing.assert_close(bank, torch.stack([vectors[4], vectors[1], vectors[3], torch.zeros(2)]))


def counts(drawn, size):
    return torch.stack([row.bincount(minlength=size) for row in drawn]) / drawn.shape[1]


def test_negatives_are_uniform_over_the_other_samples():
    torch.manual_seed(0)
    found = counts(draw_others(torch.tensor([0, 2, 4]), 50000, 5), 5)
    expected = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 1, 1, 0]]) / 4
    assert (found - expected).abs().max() < 0.01
    assert not found[expected == 0].any()


def test_classes_are_drawn_uniformly():
    torch.manual_seed(0)
    known = torch.tensor([1, 0, -1, 1, 0, 2, 1])
    labels = torch.tensor([0, 1, 2])
    same, negatives = zip(*(draw_by_class(labels, sorted_lists(known), 500) for _ in range(200)), strict=True)
    for i, label in enumerate(labels):
        inside = (known == label).double()
        positives = torch.stack(same)[:, i].bincount(minlength=7) / 200
        others = torch.cat(negatives, dim=1)[i].bincount(minlength=7) / 100000
        assert (positives - inside / inside.sum()).abs().max() < 0.12
        assert (others - (1 - inside) / (1 - inside).sum()).abs().max() < 0.01
        assert not others[inside == 1].any()


def test_with_a_single_class_rows_stay_within_the_bank():
    _, negatives = draw_by_class(torch.tensor([4, 4]), sorted_lists(torch.full((3,), 4)), 1000)
    assert 0 <= negatives.min() <= negatives.max() < 3


@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("contrast", ["classes", "samples"])
def test_draw_follows_the_settings(relaxed, contrast):
    loss, *_ = made(relaxed=relaxed, contrast=contrast, negatives=400)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    if loss.by_class:
        loss.draw(torch.arange(9), labels)
    positive, negatives = loss.draw(INDEX, labels[INDEX] if loss.by_class else None)
    assert torch.equal(labels[positive], labels[INDEX])
    assert torch.equal(positive, INDEX) or relaxed
    assert not (negatives == INDEX.unsqueeze(1)).any()
    assert (labels[negatives] == labels[INDEX].unsqueeze(1)).any() == (contrast == "samples")


def test_the_batch_alone_is_the_bank_of_its_own_embeddings():
    loss, student, teacher = made(contrast="batch")
    assert not hasattr(loss, "memory_s")
    value = loss(student, teacher)
    e_s, e_t = F.normalize(loss.embed_s(student)), F.normalize(loss.embed_t(teacher))
    scores = (e_s @ e_t.T / loss.temperature).exp()
    scores = scores / scores.detach().mean() / 3
    own = torch.eye(3, dtype=torch.bool)
    h = torch.where(own, scores, 2 / 3) / (scores + 2 / 3 + loss.eps)
    torch.testing.assert_close(value, -2 * h.log().sum() / 3)


@pytest.mark.parametrize(
    ("settings", "taps"),
    [
        ({}, ("index", "labels", "size")),
        ({"samples": 9}, ("index", "labels")),
        ({"samples": 9, "contrast": "samples"}, ("index",)),
        ({"samples": 9, "contrast": "samples", "relaxed": True}, ("index", "labels")),
        ({"contrast": "batch"}, ()),
    ],
)
def test_asks_for_what_it_needs(settings, taps):
    assert CRD(**settings).taps == ("student.pooled", "teacher.pooled", *taps)


def test_trains_in_a_distiller_that_gives_the_size():
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4), "index": torch.arange(4) * 10}
    batch["size"] = torch.tensor(50)
    networks = {"student": create("resnet8", seed=0), "teacher": freeze(create("resnet8", seed=1))}
    loss = CRD(negatives=20, width=8)
    distiller = Distiller(networks, [Term(CE(), "student", "labels"), Term(loss, *loss.taps)], example=batch)
    assert loss.memory_s.shape == (50, 8)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05)
    first, *_, last = [step(distiller, optimizer, batch) for _ in range(8)]
    assert last < first
    assert loss.classes[batch["index"]].tolist() == [0, 1, 2, 3]


def step(distiller, optimizer, batch):
    total, values = distiller(batch)
    total.backward()
    optimizer.step()
    optimizer.zero_grad()
    return values["CRD student.pooled"].item()


def test_says_what_is_wrong():
    with pytest.raises(BadInput, match="index 7 .* samples=5"):
        made(samples=5)
    with pytest.raises(BadInput, match="call build"):
        CRD(9)(features(0, 3, 6), features(1, 3, 8), INDEX, LABELS)
    with pytest.raises(BadInput, match="relaxed"):
        CRD(relaxed=True, contrast="batch")
    with pytest.raises(BadInput, match="temperature"):
        CRD(temperature=0)
