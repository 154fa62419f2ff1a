import pytest
import torch

from potstill.losses import MGD


def built(**settings):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(20, 4, 5, 5, generator=generator), torch.randn(20, 6, 5, 5, generator=generator)
    loss = MGD(**settings)
    loss.build(student, teacher)
    return loss, student, teacher


def test_without_a_mask_it_is_the_generators_error():
    loss, student, teacher = built(ratio=0)
    expected = (loss.generator(loss.align(student)) - teacher).square().sum() / 20
    torch.testing.assert_close(loss(student, teacher), expected)


def test_of_a_student_that_is_masked_whole_nothing_is_left():
    loss, student, teacher = built(ratio=1)
    assert torch.equal(loss(student, teacher), loss(3 * student, teacher))


@pytest.mark.parametrize(("over", "shape"), [("channels", (20, 6, 1, 1)), ("positions", (20, 1, 5, 5))])
def test_masks_are_drawn_anew_and_repeat_with_the_seed(over, shape):
    loss, student, teacher = built(ratio=0.5, over=over)
    masks = []
    loss.generator.register_forward_pre_hook(lambda _, given: masks.append(given[0] != 0))
    torch.manual_seed(0)
    first, second = loss(student, teacher), loss(student, teacher)
    torch.manual_seed(0)
    assert torch.equal(loss(student, teacher), first)
    assert not torch.equal(first, second)
    assert loss.draw(teacher).shape == shape
    assert 0.4 < masks[0].float().mean() < 0.6
    assert torch.equal(
        masks[0], masks[0].amax(dim=(2, 3) if over == "channels" else 1, keepdim=True).expand_as(teacher)
    )
