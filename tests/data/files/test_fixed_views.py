"""``--views``: an image in files is seen in so many views only, the same ones whatever the seed."""

import torch

from potstill.data.files.order import LAST_VIEW, Order, fixed_view


def splitmix64(number):
    """The generator of that name: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        number = (number ^ (number >> shift)) * factor % 2**64
    return number


def test_a_view_is_drawn_from_image_and_number():
    rows, numbers, count = [0, 1, 1, 50_000], [2, 0, 2, 1], 3
    found = fixed_view(torch.tensor(rows), torch.tensor(numbers), count)
    for view, row, number in zip(found.tolist(), rows, numbers, strict=True):
        drawn = splitmix64((row << 24) + number + 1) % (LAST_VIEW // 2) + LAST_VIEW // 4
        assert view == drawn // count * count + number
    assert len(set(found.tolist())) == 4


def test_an_epoch_has_views_of_these_only_and_another_seed_the_same_ones():
    seen = {}
    for seed in (0, 1):
        order = Order(torch.arange(40), 7, seed, shuffle=True, augment=True, views=3)
        for order.epoch in range(12):
            for row, view in (item for batch in order for item in batch):
                seen.setdefault(row, set()).add(view)
    expected = [{int(fixed_view(torch.tensor([row]), torch.tensor([n]), 3)) for n in range(3)} for row in range(40)]
    assert [seen[row] for row in range(40)] == expected
