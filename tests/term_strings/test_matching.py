"""Which stages of two networks go together."""

import math
import random
from functools import cache
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import potstill as ps
from potstill import tables
from potstill.errors import BadInput
from potstill.networks import Stage, dry_run
from potstill.term_strings import parse_terms
from potstill.term_strings.matching import match

IMAGES = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
OF_LARGE_IMAGES = ("resnet18", "resnet34", "resnet50")
NAMES = {"student": "student", "teacher": "teacher"}


def stages(*sides):
    return [Stage(f"s{i}", (8, side, side)) for i, side in enumerate(sides)]


def sides(pairs):
    return [(student.shape[1], teacher.shape[1]) for student, teacher in pairs]


@pytest.mark.parametrize(
    ("student", "teacher", "pairs"),
    [
        ((56, 28, 14, 7), (56, 28, 14, 7), [(56, 56), (28, 28), (14, 14), (7, 7)]),
        ((112, 56, 28, 14, 7), (56, 28, 14, 7), [(56, 56), (28, 28), (14, 14), (7, 7)]),
        ((32, 16, 8), (16, 8, 4), [(32, 16), (16, 8), (8, 4)]),  # three pairs of factor 2 are more than two equal ones
        ((56, 28, 14, 7), (14, 14), [(28, 14), (14, 14)]),  # (14, 14) and (7, 14) are as near; the depths are not
        ((147, 73, 35, 17, 8), (112, 56, 28, 14, 7), [(147, 112), (73, 56), (35, 28), (17, 14), (8, 7)]),
        ((55, 27), (27, 13), [(55, 27), (27, 13)]),  # half of 55 is 27 or 28
        ((64, 32), (16, 8), [(32, 16)]),
        ((64,), (31,), []),
    ],
)
def test_resolutions_within_a_factor_of_2(student, teacher, pairs):
    assert sides(match(stages(*student), stages(*teacher))) == pairs


def test_ties_go_to_the_like_depth():
    twelve = [Stage(f"blocks.{i}:map", (192, 14, 14)) for i in range(12)]
    assert [teacher.path for _, teacher in match(stages(28, 14, 7), twelve)] == [f"blocks.{i}:map" for i in (3, 7, 11)]
    assert [student.path for student, _ in match(twelve, twelve)] == [f"blocks.{i}:map" for i in range(12)]


def test_against_all_possible_matchings():
    draw = random.Random(0)
    for _ in range(60):
        ours, theirs = (stages(*(draw.choice((4, 7, 8, 14, 16, 28)) for _ in range(draw.randint(1, 4)))) for _ in "ab")
        found = match(ours, theirs)
        assert found == sorted(found, key=lambda pair: ours.index(pair[0])), "in the order of depth"
        best = min(cost(ours, theirs, pairs) for pairs in every_matching(ours, theirs))
        assert cost(ours, theirs, [(ours.index(s), theirs.index(t)) for s, t in found]) == pytest.approx(best)


def every_matching(ours, theirs):
    for count in range(min(len(ours), len(theirs)) + 1):
        for some in combinations(range(len(ours)), count):
            for others in combinations(range(len(theirs)), count):
                pairs = list(zip(some, others, strict=True))
                if all(near(ours[i].shape[1], theirs[j].shape[1]) for i, j in pairs):
                    yield pairs


def near(side, other):
    return max(side, other) <= 2 * min(side, other) + 1


def cost(ours, theirs, pairs):
    ratio = sum(abs(math.log2(ours[i].shape[1] / theirs[j].shape[1])) for i, j in pairs)
    depth = sum(abs((i + 1) / len(ours) - (j + 1) / len(theirs)) for i, j in pairs)
    return (-len(pairs), round(ratio, 6), round(depth, 6))


def terms_of_tables():
    """The two networks of every row that has two, with all the terms that any row has between them."""
    found = {}
    for name in tables.__all__:
        rows = {row.name: row for row in getattr(tables, name).rows()}
        for row in rows.values():
            if row.teacher is None or row.recipe == "rocket":  # whose hint is on logits
                continue
            if "{teacher}" in row.arguments.get("student", ""):  # made of its teacher's run
                continue
            teacher = rows[row.teacher].arguments["network"]
            student = row.arguments.get("student") or f"{teacher}+{row.arguments['conv']}"
            strings = found.setdefault((student, teacher), set())
            strings.update(row.arguments.get("terms", ()), row.arguments.get("first", ()))
            if row.recipe in ("moonshine", "channel"):  # these write their own
                strings.add("AT on stages")
    return found


@cache
def network(spec):
    return ps.networks.create(spec, 100)


def test_in_every_row_of_every_table_the_stages_of_one_number_go_together(monkeypatch):
    monkeypatch.setattr(dry_run, "DryRun", cache(dry_run.DryRun))  # a network is in many rows
    pairs = terms_of_tables()
    assert len(pairs) > 30
    on_stages = 0
    for (student, teacher), strings in pairs.items():
        networks = {name: network(spec) for name, spec in (("student", student), ("teacher", teacher))}
        large = student in OF_LARGE_IMAGES
        images = F.interpolate(IMAGES, scale_factor=2) if large else IMAGES  # of the others, stage 4 is a pixel
        named, seen = (parse_terms(sorted(strings), networks, images=given) for given in (None, images))
        assert [term.addresses for term in seen] == [term.addresses for term in named], (student, teacher)
        assert [term.name for term in seen] == [term.name for term in named]
        on_stages += sum(".stage" in address for term in seen for address in term.flat_addresses)
    assert on_stages > 300


class Square(nn.Module):
    """A network of maps of 4 x 4 for images of 64 x 64."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 16, stride=16), nn.Conv2d(4, 4, 1))
        self.fc = nn.Linear(4, 10)

    def forward(self, images):
        return self.fc(self.body(images).mean((2, 3)))


def networks_of(student, teacher):
    return {"student": ps.networks.create(student), "teacher": ps.networks.create(teacher)}


def parsed(networks, *strings, images=IMAGES, **options):
    return [term.addresses for term in parse_terms(strings, networks, images=images, **options)]


def test_pairs_are_said_once_on_stderr(capsys):
    networks = networks_of("resnet8", "torchvision:resnet18")
    expected = [("light.stage2", "booster.layer1"), ("light.stage3", "booster.layer2")]
    images = torch.randn(2, 3, 64, 64)
    names = {"student": "light", "teacher": "booster"}
    assert parsed(networks, "AT on stages", "SP", images=images, names=names) == 2 * expected
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "potstill: matched light.stage2 (32 x 32 x 32) with booster.layer1 (64 x 16 x 16)",
        "potstill: matched light.stage3 (64 x 16 x 16) with booster.layer2 (128 x 8 x 8)",
    ]
    assert said.out == ""


def test_stages_before_their_activation_are_matched_as_such():
    networks = networks_of("resnet8", "resnet14")
    found = parsed(networks, "AB")
    assert found == parsed(networks, "AB", images=None)
    assert all(":pre" in str(addresses) for addresses in found)


def test_stages_of_several_teachers_are_matched_too(capsys):
    networks = {"student": ps.networks.create("resnet8"), **{f"teacher{i}": Named(i) for i in (1, 2)}}
    terms = ps.terms(["AT on stages"], networks, (torch.randn(2, 3, 32, 32), torch.tensor([0, 1])))
    assert [term.addresses for term in terms] == [
        ("student.stage2", "teacher1.stage1"),
        ("student.stage2", "teacher2.stage1"),
    ]
    assert len(capsys.readouterr().err.splitlines()) == 2


class Named(nn.Module):
    """One stage, of maps of 16 x 16."""

    aliases = {"stage1": "body"}

    def __init__(self, factor):
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 4 * factor, 2, stride=2), nn.Linear(4 * factor, 10)

    def forward(self, images):
        return self.fc(self.body(images).mean((2, 3)))


def test_no_dry_run_where_no_layer_is_named(capsys):
    class Untouchable(nn.Module):
        def forward(self, images):
            raise AssertionError("it ran")

    networks = {"student": Untouchable(), "teacher": Untouchable()}
    assert parsed(networks, "CE", "0.9 * KD") == [("student", "labels"), ("student", "teacher")]
    assert capsys.readouterr().err == ""


def small_vit(depth=4):
    """Of patches of 4 on images of 32 pixels: 8 x 8 tokens, and one of the class."""
    import timm

    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=4, depth=depth, num_classes=10)
    network.aliases = {f"stage{i + 1}": f"blocks.{i}" for i in range(depth)}
    return network


def test_tokens_become_maps_where_a_loss_wants_maps():
    networks = {"student": ps.networks.create("resnet8"), "teacher": small_vit()}
    assert parsed(networks, "AT on layer3=blocks.2") == [("student.layer3", "teacher.blocks.2:map")]
    assert parsed(networks, "AT on stage3=blocks.2:map") == [("student.stage3", "teacher.blocks.2:map")]
    assert parsed(networks, "AT on stage3=head:in") == [("student.stage3", "teacher.head:in")]  # a vector is no map
    assert parsed(networks, "RKD on pooled=blocks.2") == [("student.pooled", "teacher.blocks.2")]
    assert parsed(networks, "LwM on stage3") == [
        ("student.stage3", "teacher.stage3:map", "student", "teacher", "labels")
    ]
    assert parsed(networks, "FSP on layer2=blocks.1 layer3=blocks.2") == [
        (("student.layer2", "student.layer3"), ("teacher.blocks.1:map", "teacher.blocks.2:map"))
    ]
    assert parsed(networks, "AT on stages") == [  # 16 x 16 and 8 x 8 with 8 x 8
        ("student.stage2", "teacher.stage3:map"),
        ("student.stage3", "teacher.stage4:map"),
    ]
    swin = ps.networks.create("torchvision:swin_t")
    networks = {"student": ps.networks.create("resnet8"), "teacher": swin}
    assert parsed(networks, "AT on layer3=features.1") == [("student.layer3", "teacher.features.1:map")]


@pytest.mark.parametrize("string", ["AT on stages", "LwM on stage3=blocks.2", "FitNet on layer3=blocks.2"])
@pytest.mark.parametrize("turned", [False, True])
def test_terms_between_tokens_and_maps_train(string, turned):
    networks = {"student": ps.networks.create("resnet8", seed=0), "teacher": small_vit()}
    if turned:
        networks = {"student": networks["teacher"], "teacher": networks["student"]}
        left, equal, right = string.rpartition(" ")[2].partition("=")
        string = string.replace(f"{left}{equal}{right}", f"{right}{equal}{left}") if equal else string
    ps.freeze(networks["teacher"])
    batch = {"images": torch.randn(2, 3, 32, 32), "labels": torch.tensor([1, 2])}
    terms = parse_terms([string], networks, images=batch["images"])
    distiller = ps.Distiller(networks, terms, example=batch)
    total, values = distiller(batch)
    total.backward()
    assert total.isfinite()
    assert len(values) == len(terms)
    gradients = [p.grad.abs().sum() for p in networks["student"].parameters() if p.grad is not None]
    assert len(gradients) > 5
    assert sum(gradients) > 0


@pytest.mark.parametrize(
    ("string", "message"),
    [
        (
            "AT on stages",
            r"^term 'AT on stages': no two stages within a factor of 2 of each other: student "
            r"stage1 \(16 x 64 x 64\), stage2 \(32 x 32 x 32\), stage3 \(64 x 16 x 16\) and teacher "
            r"body.0 \(4 x 4 x 4\), body.1 \(4 x 4 x 4\); name layers$",
        ),
        ("AB", r"^term 'AB': teacher has no stages to tap; name layers"),
        ("AT on layer3=bdy.1", r"^no tap 'teacher\.bdy\.1' .* nearest: teacher\.body\.1"),
    ],
)
def test_mistakes(string, message):
    networks = {"student": ps.networks.create("resnet8"), "teacher": Square()}
    with pytest.raises(BadInput, match=message):
        parsed(networks, string, images=torch.randn(2, 3, 64, 64))
