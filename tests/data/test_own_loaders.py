import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from potstill.data import from_loaders
from potstill.errors import BadInput

IMAGES, LABELS = torch.randn(10, 3, 8, 8), torch.arange(10) % 3


def pairs(**settings):
    return DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4, **settings)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(IMAGES, LABELS, strict=True))


FORMS = {
    "pairs": pairs(),
    "a list of pairs": [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])],
    "dictionaries": [{"images": IMAGES, "labels": LABELS, "strong": IMAGES}],
    "hugging face": [{"pixel_values": IMAGES, "labels": LABELS, "file": ["a"] * 10}],
    "another spelling": [{"image": IMAGES, "label": LABELS}],
    "images alone": DataLoader(IMAGES, batch_size=5),
    "a stream": DataLoader(Stream(), batch_size=4),
    "workers": pairs(num_workers=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_batches_of_every_form(form):
    data = from_loaders(FORMS[form], FORMS[form], classes=["a", "b", "c"])
    assert data.classes == ("a", "b", "c")
    assert data.shape == (3, 8, 8)
    for batches in (data.train, data.test):
        torch.testing.assert_close(torch.cat([batch["images"] for batch in batches]), IMAGES)
    assert ("labels" in data.example()) == (form != "images alone")


def test_counts_and_lengths_where_they_are_known():
    data = from_loaders(pairs(), FORMS["a stream"], classes=3, mean=[0.5] * 3, std=[0.2] * 3, name="mine")
    assert data.classes == ("0", "1", "2")
    assert data.described() == {
        "name": "mine",
        "classes": ["0", "1", "2"],
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
        "shape": [3, 8, 8],
        "images": {"train": 10},
        "digest": None,  # nobody knows whether they give the same images again
    }
    assert len(data.train) == 3
    with pytest.raises(TypeError):
        len(data.test)


def test_the_example_draws_no_random_number():
    before = torch.get_rng_state()
    from_loaders(pairs(shuffle=True)).example()
    assert torch.equal(before, torch.get_rng_state())


def test_samplers_and_loaders_are_told_the_epoch():
    class Sampler:
        told = []

        def __iter__(self):
            return iter(range(10))

        def __len__(self):
            return 10

        def set_epoch(self, epoch):
            self.told.append(epoch)

    from_loaders(pairs(sampler=Sampler())).train.set_epoch(3)
    assert Sampler.told == [3]


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (iter([(IMAGES, LABELS)]), "the training loader is a list_iterator, which ends after one epoch"),
        ((pair for pair in [(IMAGES, LABELS)]), "the training loader is a generator, which ends after one epoch"),
        (3, "the training loader is a int, not an iterable"),
        ([], "the training loader gives no batch"),
        (["text"], r"a batch is a dictionary .* not a str"),
        ([(IMAGES, LABELS, LABELS)], r"not a tuple of 3 \(Tensor, Tensor, Tensor\)"),
        ([{"path": ["a"]}], "a batch has tensors, but this one has only 'path' \\(list\\)"),
    ],
)
def test_what_is_no_loader_says_why(loader, message):
    with pytest.raises(BadInput, match=message):
        from_loaders(loader)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"images": IMAGES}, "batch 1 of the training loader has no 'labels', as the first batch has; it has images"),
        ({"images": IMAGES, "lables": LABELS}, "has no 'labels'"),
        ({"images": IMAGES, "labels": LABELS, "x": LABELS}, "unknown entry in batch 1 of the training loader 'x'"),
        (
            {"images": torch.zeros(2, 3, 9, 9), "labels": LABELS[:2]},
            r"batch 1 of the training loader has images of shape \(N, 3, 9, 9\), the first batch of \(N, 3, 8, 8\)",
        ),
        ({"images": IMAGES, "labels": torch.zeros(10, 3)}, r"labels of shape \(N, 3\), the first batch of \(N\)"),
    ],
)
def test_batches_that_change_are_refused(second, message):
    data = from_loaders([{"images": IMAGES, "labels": LABELS}, second])
    with pytest.raises(BadInput, match=message):
        list(data.train)


@pytest.mark.parametrize("classes", [-1, 0, "abc"])
def test_classes_are_names_or_a_number(classes):
    with pytest.raises(BadInput, match=f"classes is {classes!r}"):
        from_loaders(pairs(), classes=classes)
