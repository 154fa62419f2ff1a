"""Where features are found, what masks leave out, and what a term of both is given."""

import pytest
import torch
from torch import nn

import potstill as ps
from potstill.embedding.bonds import bonds
from potstill.embedding.masking import Masking
from potstill.embedding.places import patches_place, pooled_place
from potstill.embedding.quality import Quality
from potstill.errors import BadInput

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vit():
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 2, "num_classes": 0}
    return timm.create_model("vit_tiny_patch16_224", **sizes).eval()


class Named(nn.Module):
    """Returns what it has pooled under its name, as models of transformers do."""

    def __init__(self):
        super().__init__()
        self.model = nn.Conv2d(3, 5, 3)
        self.model.register_forward_hook(lambda _, __, maps: {"pooler_output": maps.amax((2, 3)), "maps": maps})

    def forward(self, images):
        return self.model(images)["maps"].mean((2, 3))


def test_patches_are_those_after_the_last_norm(vit):
    assert pooled_place(vit, "teacher", IMAGES) == "teacher"
    assert patches_place(vit, "teacher", IMAGES) == "teacher.norm:map"
    student = ps.networks.create("resnet8", 0)
    assert patches_place(student, "student", IMAGES) == "student.stage3"


def test_what_a_teacher_calls_pooled_counts():
    assert pooled_place(Named(), "teacher", IMAGES) == "teacher#pooler_output.model"


def test_a_network_without_pooled_features_is_refused():
    with pytest.raises(BadInput, match=r"teacher returns \(2, 4, 16, 16\), not pooled features .* --match patches"):
        pooled_place(nn.Conv2d(3, 4, 1), "teacher", IMAGES)
    with pytest.raises(BadInput, match="teacher: no map of patches is found"):
        patches_place(nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), "teacher", IMAGES)


def test_teachers_and_kinds_have_a_projector_each(vit):
    networks = {"student": ps.networks.create("resnet8", 0), "teacher1": vit, "teacher2": Named()}
    found = bonds(networks, IMAGES, "both", "mse", layers=2, hidden=7)
    terms = [bond.term(0.25, "masked") for bond in found]
    assert [(term.name, term.addresses) for term in terms[:2]] == [
        ("PatchMSE teacher1 pooled", ("student@masked", "teacher1")),
        ("PatchMSE teacher1 patches", ("student@masked.stage3", "teacher1.norm:map")),
    ]
    assert len({id(term.loss) for term in terms}) == 4
    (queue,) = bonds({**networks, "teacher2": vit}, IMAGES, "both", "queue")[:1]
    assert queue.term(1).addresses == (("student", "student.stage3"), ("teacher1", "teacher1.norm:map"))
    with pytest.raises(BadInput, match="--match pooled, or both"):
        bonds(networks, IMAGES, "patches", "queue")


def test_agreement_counts_every_image_alike(vit):
    networks = {"student": ps.networks.create("resnet8", 0), "teacher1": ps.freeze(vit)}
    taught = bonds(networks, IMAGES, "pooled", "mse")
    terms, images = [bond.term(1) for bond in taught], torch.randn(7, 3, 16, 16)
    with ps.Distiller(networks, terms, {"images": IMAGES}, classifiers=[]):  # which builds the projectors
        student = networks["student"]
        with Quality(student, {"teacher1": vit}, taught) as quality:
            whole, parts = (quality(student, [{"images": some} for some in images.split(size)]) for size in (7, 5))
    assert parts == pytest.approx(whole, abs=1e-6)
    assert whole["n"] == 7


def test_a_mask_leaves_out_whole_cells_of_each_image():
    images = 1 + torch.rand(6, 3, 12, 12)
    masked = Masking(0.3, grid=4)({"images": images})["masked"]
    gone = (masked == 0).view(6, 3, 4, 3, 4, 3)
    assert torch.equal(gone.any(5).any(3), gone.all(5).all(3))
    assert gone.float().mean((1, 2, 3, 4, 5)).tolist() == pytest.approx([5 / 16] * 6)
    assert len({tuple(one.flatten().tolist()) for one in gone}) > 1
    assert torch.equal(masked[masked != 0], images[masked != 0])
    with pytest.raises(BadInput, match="leaves out 0 of 16"):
        Masking(0.01, grid=4)
    with pytest.raises(BadInput, match="finer than images of 12x12"):
        Masking(0.5, grid=20)({"images": images})
