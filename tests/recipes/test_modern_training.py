"""Today's training, as flags of every recipe: all of it at once, resumed, and with a teacher."""

import json

import pytest
import torch
from safetensors.torch import load_file

import potstill as ps
from potstill.cli import main
from potstill.losses import CE, KD

DIGITS = "--data digits --images 60 --test-images 40 --batch-size 20 --epochs 3 --device cpu"
EVERYTHING = (
    "--mixup 0.2 --cutmix 1 --randaugment 2 9 --erase 0.5 --warmup 1 --clip 1 --accumulate 2 --no-decay-norms "
    "--layer-decay 0.8 --ema 0.9 --freeze conv1 --balance sampling --optimizer timm:lamb --lr 0.01 --schedule cosine"
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    assert main(f"supervised --network resnet8 --seed 7 {DIGITS} --out {out}".split()) == 0
    return out


def test_averages_are_measured_saved_exported_and_started_from(teacher, tmp_path, capsys):
    out = tmp_path / "run"
    command = f"distill --student resnet8 --teacher {teacher} {DIGITS} {EVERYTHING} --out {out} --json"
    assert main(command.split()) == 0
    summary = json.loads(capsys.readouterr().out)
    assert list(summary["learners"]) == ["student", "student-ema"]
    student, mean = (load_file(out / f"{name}.safetensors") for name in ("student", "student-ema"))
    assert student.keys() == mean.keys()
    assert not all(torch.equal(student[key], mean[key]) for key in student)
    assert torch.equal(student["conv1.weight"], mean["conv1.weight"])  # frozen
    network = ps.networks.create(f"{out}:student-ema")
    measured = ps.evaluate(network, ps.data.load("digits", test_images=40).test)
    assert measured["top1"] == summary["learners"]["student-ema"]["last"]["test"]["top1"]
    assert main(f"export {out}:student-ema --to safetensors --out {tmp_path / 'mean.safetensors'}".split()) == 0
    assert load_file(tmp_path / "mean.safetensors").keys() == mean.keys()


def test_student_and_teacher_see_the_same_pixels_and_labels_say_what_is_in_them(tmp_path):
    seen = {}

    class Seeing(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name, self.network = name, ps.networks.create("resnet8", seed=0)

        def forward(self, images):
            seen.setdefault(self.name, []).append(images.detach().clone())
            return self.network(images)

    data = ps.data.load("digits", images=60, test_images=20, batch_size=20)
    networks = {"student": Seeing("student"), "teacher": ps.freeze(Seeing("teacher"))}
    labels = []

    class Watched(CE):
        def forward(self, student, target):
            labels.append(target)
            return super().forward(student, target)

    terms = [ps.Term(Watched(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    distiller = ps.Distiller(networks, terms, data.example(), classifiers=["student", "teacher"])
    seen.clear(), labels.clear()
    training = ps.Training("digits", epochs=1, batch_size=20, mixup=0.4, trivial_augment=True, out=tmp_path / "run")
    ps.fit(distiller, data, training)
    student, teacher = ([x for x in seen[name] if len(x) == 20] for name in ("student", "teacher"))
    steps = [one for one in student if any(one.shape == other.shape and torch.equal(one, other) for other in teacher)]
    assert len(steps) >= 3
    soft = [one for one in labels if one.dim() == 2]
    assert len(soft) == 3
    for one in soft:
        torch.testing.assert_close(one.sum(1), torch.ones(20))


def test_a_run_ends_when_it_gets_no_better(tmp_path, capsys):
    out = tmp_path / "run"
    command = f"supervised --network resnet8 {DIGITS.replace('--epochs 3', '--epochs 40')} --lr 1e-30 --early-stop 2"
    assert main(f"{command} --holdout 20 --out {out} --json".split()) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["epochs"] == 3
    assert "no epoch was better than the best in the last 2" in told.err
    assert main(f"{command} --holdout 20 --out {out}".split()) == 0  # it is finished, and not repeated
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3


def test_rare_classes_weigh_more(tmp_path, capsys):
    assert main(f"supervised --network resnet8 {DIGITS} --balance weights --out {tmp_path / 'run'}".split()) == 0
    capsys.readouterr()
    distill = f"distill --student resnet8 --teacher {tmp_path / 'run'} {DIGITS} --terms KD"
    assert main(f"{distill} --balance weights --out {tmp_path / 'other'}".split()) == 2
    assert "--balance weights is for terms of CE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--terms DKD --mixup 0.2",
            "--mixup and --cutmix make one image of two, with two labels, and term 'DKD student'",
        ),
        ("--terms CRD(negatives=8) --cutmix 1", "and term 'CRD student.pooled' asks which one it is"),
        ("--drop-path 0.1", "--drop-path is for networks that skip blocks at random"),
        ("--freeze layer9", "--freeze 'layer9' is no part of student; did you mean layer3"),
    ],
)
def test_conflicts_are_named_before_anything_is_written(flags, message, teacher, tmp_path, capsys):
    command = f"distill --student resnet8 --teacher {teacher} {DIGITS} --out {tmp_path / 'run'} {flags}"
    assert main(command.split()) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_stochastic_depth_is_asked_of_the_library(tmp_path):
    network = ps.networks.create("timm:test_resnet", classes=10, drop_path=0.3)
    rates = [module.drop_prob for module in network.modules() if type(module).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.3)
    vision = ps.networks.create("torchvision:efficientnet_b0", classes=10, drop_path=0.3)
    found = [module.p for module in vision.modules() if type(module).__name__ == "StochasticDepth"]
    assert 0.2 < max(found) <= 0.3


def test_plain_images_have_one_view_each(tmp_path):
    training = ps.Training("digits", images=50, augment="none")
    data = training.load_data()
    views = torch.cat([batch["view"] for batch in data.train])
    assert len(views.unique()) == 1
    assert torch.equal(
        torch.cat([batch["images"] for batch in data.train]).sort(0).values,
        data.train.images(torch.cat([b["index"] for b in data.train]), views).sort(0).values,
    )


TWO_HEADS = """
from timm.models.deit import VisionTransformerDistilled

def make(num_classes):
    return VisionTransformerDistilled(
        img_size=8, patch_size=4, embed_dim=16, depth=1, num_heads=2, num_classes=num_classes
    )
"""


def test_a_distilled_transformer_learns_with_both_heads_and_gives_their_mean(teacher, tmp_path, capsys):
    (tmp_path / "net.py").write_text(TWO_HEADS)
    out, spec = tmp_path / "run", f"{tmp_path / 'net.py'}:make"
    terms = ["0.5 * CE on student#0", "0.5 * KD(hard=True) on student#1"]
    command = f"distill --student {spec} --teacher {teacher} {DIGITS} --lr 0.01 --out {out}".split()
    assert main([*command, "--terms", *terms]) == 0
    started = ps.networks.create(spec, seed=0)
    network = ps.networks.create(str(out)).eval()
    for head in ("head", "head_dist"):
        assert not torch.equal(getattr(network, head).weight, getattr(started, head).weight)
    images = torch.randn(2, 3, 8, 8)
    mean = network(images)
    network.set_distilled_training(True)
    one, two = network.train()(images)
    torch.testing.assert_close(mean, (one + two) / 2)
    capsys.readouterr()
    assert main([*command[:-1], str(tmp_path / "mean"), "--terms", "CE", "KD"]) == 0  # both learn as their mean
    assert "gets no gradient" not in capsys.readouterr().err
