import json
from dataclasses import replace

import pytest
import torch

import potstill as ps
from potstill.engine.checkpoint import fingerprint, load_checkpoint
from potstill.errors import BadInput, TrainingFailed
from potstill.losses.bss import BSS, BoundaryAttack, attack_classes, base_samples, boundary_attack
from potstill.recipes import boundary, factor_transfer, supervised, two_stage
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=100, lr=0.05, momentum=0.9)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    supervised(network="resnet8", training=replace(SHORT, epochs=3, seed=7, out=out))
    return str(out)


def print_of(folder):
    return fingerprint(ps.networks.create(str(folder)))


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_hint_stage_moves_only_what_it_reaches_and_the_second_starts_afresh(tmp_path, teacher):
    out = tmp_path / "run"
    arguments = {"student": "resnet8", "teacher": teacher, "first": ("FitNet(regressor=True) on stage2",)}
    two_stage(**arguments, first_epochs=2, training=replace(SHORT, out=out))
    (first, second), (main,) = records(out / "hint"), records(out)
    assert list(first["terms"]) == ["FitNet student.stage2"]
    assert [first["lr"], second["lr"], main["lr"]] == [0.005, 0.005, 0.05]
    assert list(main["terms"]) == ["CE student"]

    start = ps.networks.create("resnet8", seed=0).state_dict()
    hinted = ps.networks.create(str(out / "hint")).state_dict()
    moved = {name for name in start if not torch.equal(start[name], hinted[name]) and "running" not in name}
    assert "layer2.0.conv1.weight" in moved
    assert not any(name.startswith(("layer3", "fc")) for name in moved if "num_batches" not in name)

    # What follows is plain training from there: no momentum, no term and no gradient of the first stage is left.
    weights = out / "hint" / "student.safetensors"
    supervised(network="resnet8", weights=weights, training=replace(SHORT, out=tmp_path / "plain"))
    assert print_of(out) == print_of(tmp_path / "plain")


def test_milestones_of_the_first_stage(tmp_path, teacher):
    out = tmp_path / "run"
    arguments = {"student": "resnet8", "teacher": teacher, "first": ("10 * AB",), "terms": ("CE", "KD")}
    two_stage(**arguments, first_epochs=3, first_lr=0.02, first_milestones=(1, 2), training=replace(SHORT, out=out))
    assert [record["lr"] for record in records(out / "hint")] == pytest.approx([0.02, 0.004, 0.0008])
    assert list(records(out)[0]["terms"]) == ["CE student", "KD student"]


@pytest.mark.parametrize(
    ("recipe", "mistake", "message"),
    [
        (two_stage, {"terms": ("KDD",)}, "unknown loss 'KDD'"),
        (two_stage, {"terms": ("CE", "AT on layr3")}, "nearest: student.layer3"),
        (factor_transfer, {"on": "layr3=layer3"}, "nearest: student.layer3"),
    ],
)
def test_a_mistake_in_the_second_stage_is_found_before_the_first(recipe, mistake, message, tmp_path, teacher):
    with pytest.raises(BadInput, match=message):
        recipe(student="resnet8", teacher=teacher, **mistake, training=replace(SHORT, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def stages(recipe, stage):
    return pytest.param(recipe, stage, id=stage)


@pytest.mark.parametrize(
    ("recipe", "stage"),
    [
        stages(lambda **more: two_stage(first=("10 * AB",), first_epochs=1, **more), "hint"),
        stages(lambda **more: factor_transfer(paraphraser_epochs=1, **more), "paraphraser"),
    ],
)
def test_a_finished_stage_is_not_repeated_and_the_end_is_the_same(recipe, stage, tmp_path, teacher):
    """Killed in the second stage: what the first one learned, its losses' parts included, comes from its folder."""
    out = tmp_path / "run"
    recipe(student="wrn-10-1", teacher=teacher, training=replace(SHORT, out=out))
    whole = print_of(out)
    before = {file: file.stat().st_mtime_ns for file in (out / stage).iterdir() if not file.name.startswith(".")}
    for file in out.iterdir():
        if file.is_file():
            file.unlink()
    recipe(student="wrn-10-1", teacher=teacher, training=replace(SHORT, out=out))
    assert print_of(out) == whole
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_stages_lie_in_the_runs_own_folder_by_default(tmp_path, teacher, monkeypatch):
    monkeypatch.chdir(tmp_path)
    factor_transfer(student="wrn-10-1", teacher=teacher, paraphraser_epochs=1, training=SHORT)
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("factor-transfer-")
    assert (run / "paraphraser" / "summary.json").is_file()
    assert (run / "summary.json").is_file()


def test_the_paraphraser_learns_first_and_rests_then(tmp_path, teacher):
    out = tmp_path / "run"
    summary = factor_transfer(
        student="wrn-10-1", teacher=teacher, paraphraser_epochs=2, training=replace(SHORT, out=out)
    )
    reconstruction = [record["terms"]["Paraphraser teacher.stage3"] for record in records(out / "paraphraser")]
    assert reconstruction[1] < reconstruction[0]
    (main,) = records(out)
    assert main["weights"] == {"CE student": 1, "FT student.stage3": 200}
    ends = [
        load_checkpoint(folder / "last.ckpt", torch.device("cpu"))["losses"] for folder in (out / "paraphraser", out)
    ]
    first = {name.partition("loss.")[2]: value for name, value in ends[0].items()}
    second = {name.partition("paraphraser.")[2]: value for name, value in ends[1].items() if "paraphraser" in name}
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert list(summary["learners"]) == ["student"]


def test_factor_transfer_at_named_layers(tmp_path, teacher):
    out = tmp_path / "run"
    arguments = {"student": "wrn-10-1", "teacher": teacher, "on": "block2=layer3", "paraphraser_epochs": 1}
    factor_transfer(**arguments, training=replace(SHORT, out=out))
    assert "FT student.block2" in records(out)[0]["terms"]
    with pytest.raises(BadInput, match="student has no stages to tap; name its layer: --on"):
        factor_transfer(student="torchvision:resnet18", teacher=teacher, training=SHORT)


def test_a_finished_run_whose_losses_are_gone_says_so(tmp_path, teacher):
    out = tmp_path / "run"
    arguments = {"student": "wrn-10-1", "teacher": teacher, "paraphraser_epochs": 1}
    factor_transfer(**arguments, training=replace(SHORT, out=out))
    (out / "paraphraser" / "last.ckpt").unlink()
    (out / "summary.json").unlink()
    with pytest.raises(BadInput, match=r"last\.ckpt is gone, which holds what the losses"):
        factor_transfer(**arguments, training=replace(SHORT, out=out))


def test_boundary_weights_and_its_attack(tmp_path, teacher):
    out = tmp_path / "run"
    training = replace(SHORT, epochs=5, out=out)
    boundary(student="wrn-10-1", teacher=teacher, attack_from=1, attack_size=4, training=training)
    weights = [record["weights"].get("BSS student", 0) for record in records(out)]
    assert weights == pytest.approx([0, 1.5, 1.0, 0.5, 0])
    assert records(out)[3]["terms"]["BSS student"] > 0
    supervised(network="wrn-10-1", training=replace(training, out=tmp_path / "alone"))
    assert print_of(out) != print_of(tmp_path / "alone")


def test_the_attacked_images_are_an_input_like_any_other(teacher):
    networks = {"student": ps.networks.create(teacher), "teacher": ps.freeze(ps.networks.create(teacher))}
    with torch.no_grad():
        networks["student"].fc.weight.mul_(0.9)  # right where the teacher is, but not the same
    batch = SHORT.load_data().example()
    images, labels = batch["images"], batch["labels"]
    given = ("images", "labels", "student", "teacher")
    distiller = ps.Distiller(
        {**networks, "attack": BoundaryAttack(networks["teacher"], most=4)},
        [ps.Term(BSS(3.0), "student@attack", "teacher@attack")],
        example=batch,
        inputs={"attack": given},
    ).eval()
    torch.manual_seed(5)
    loss, _ = distiller(batch)

    ours, theirs = (network(images) for network in networks.values())
    chosen = base_samples(ours, theirs, labels, 4)
    assert len(chosen) == 4
    torch.manual_seed(5)
    targets = attack_classes(theirs[chosen], torch.rand(4))
    attacked = boundary_attack(networks["teacher"], images[chosen], labels[chosen], targets)
    expected = BSS(3.0)(networks["student"](attacked), networks["teacher"](attacked))
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)
    loss.backward()
    assert networks["student"].conv1.weight.grad.abs().sum() > 0
    assert networks["teacher"].conv1.weight.grad is None

    nothing, values = distiller({**batch, "labels": (ours.argmax(1) + 1) % 10})
    assert nothing.item() == 0
    assert values["BSS student@attack"].shape == ()


def test_a_failed_stage_fails_the_run(tmp_path, teacher):
    with pytest.raises(TrainingFailed, match="not finite"):
        two_stage(
            student="wrn-10-1",
            teacher=teacher,
            first=("1e30 * FitNet(regressor=True) on stage2",),
            first_epochs=1,
            training=replace(SHORT, out=tmp_path / "run"),
        )
    assert not (tmp_path / "run" / "config.json").exists()
