import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import potstill as ps
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.networks import pretrained
from potstill.networks.trained import create_trained
from potstill.recipes import distill, mutual, rocket, supervised
from potstill.recipes.learner import create_learner
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=200, lr=0.05, test_images=200)
OTHER = "0.6 0.5 0.4 0.2 0.25 0.3"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A run that was trained with a normalisation of its own."""
    out = tmp_path_factory.mktemp("other") / "run"
    supervised(network="resnet8", training=replace(SHORT, normalize=OTHER, seed=7, out=out))
    return out


@pytest.fixture(scope="module")
def data():
    return SHORT.load_data()


@pytest.fixture(scope="module")
def offered(tmp_path_factory):
    """A library's weights without a download: a small network, trained on 16x16 images of another normalisation."""

    def offer(classes):
        images = ps.networks.Input(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (16, 16))
        build = lambda: ps.networks.create("timm:resnet10t", classes, seed=5)  # noqa: E731
        return pretrained.Pretrained("timm:resnet10t", "timm/resnet10t", classes, images, build)

    return offer


def recorded(run, network="student"):
    return json.loads((run / "summary.json").read_text())["learners"][network]["last"]["test"]


def test_a_teacher_of_another_normalisation_is_as_good_as_its_own_run_says(tmp_path, other, capsys):
    out = tmp_path / "run"
    summary = distill(student="resnet8", teacher=str(other), training=replace(SHORT, out=out))
    assert summary["teachers"]["teacher"]["top1"] == recorded(other)["top1"]
    assert summary["teachers"]["teacher"]["loss"] == pytest.approx(recorded(other)["loss"], rel=1e-5)
    err = capsys.readouterr().err
    assert err.count(" sees ") == 1
    assert "teacher sees images normalised by mean 0.6 0.5 0.4, deviation 0.2 0.25 0.3\n" in err
    images = json.loads((out / "config.json").read_text())["networks"]["teacher"]["input"]
    assert images == {"statistics": [[0.6, 0.5, 0.4], [0.2, 0.25, 0.3]], "size": None}


def test_its_logits_are_those_it_gives_on_its_own_images(other, data):
    teacher = create_trained(str(other), data)
    alone = ps.freeze(ps.networks.create(str(other)))
    own = replace(SHORT, normalize=OTHER).load_data()
    for ours, theirs in zip(data.test, own.test, strict=True):
        torch.testing.assert_close(teacher(ours["images"]), alone(theirs["images"]), rtol=1e-4, atol=1e-5)
    assert fingerprint(teacher) == fingerprint(alone)


def test_a_run_that_does_not_say_what_it_saw_gets_the_images_as_they_come(tmp_path, other, data, capsys):
    old = tmp_path / "old"
    old.mkdir()
    config = json.loads((other / "config.json").read_text())
    del config["data"], config["format"]  # as an earlier version wrote it
    (old / "config.json").write_text(json.dumps(config))
    save_file(ps.networks.create(str(other)).state_dict(), old / "student.safetensors")
    assert not create_trained(str(old), data)._forward_pre_hooks
    capsys.readouterr()
    create_trained(str(old), data, normalize=OTHER)
    assert "normalised by mean 0.6" in capsys.readouterr().err


def test_flags_go_before_what_is_known(other, data):
    teacher = create_trained(str(other), data, normalize="digits", size=12)
    assert teacher.own_input == ps.networks.Input(size=(12, 12))
    alone, images = ps.networks.create(str(other)).eval(), next(iter(data.test))["images"]
    resized = nn.functional.interpolate(images, (12, 12), mode="bilinear")
    torch.testing.assert_close(teacher(images), alone(resized))


def test_a_weights_file_or_run_in_the_place_of_one(other, data):
    assert create_trained("resnet8", data, other / "student.safetensors")._forward_pre_hooks == {}
    assert create_trained("resnet8", data, other).own_input.statistics == ((0.6, 0.5, 0.4), (0.2, 0.25, 0.3))


def test_pretrained_weights_bring_what_they_were_trained_on(monkeypatch, offered, data, capsys):
    for module in (pretrained, ps.networks.weights):  # both know it by name
        monkeypatch.setattr(module, "find_pretrained", lambda _: offered(10))
    for weights in (None, "pretrained"):
        teacher = create_trained("timm:resnet10t", data, weights)
        assert teacher.own_input.size == (16, 16)
        assert torch.equal(teacher.fc.weight, ps.networks.create("timm:resnet10t", 10, seed=5).fc.weight)
        assert not any(p.requires_grad for p in teacher.parameters())
    err = capsys.readouterr().err
    assert err.count("teacher sees 16x16 images, normalised by imagenet\n") == 2
    assert err.count("teacher: pre-trained weights timm/resnet10t\n") == 1  # it was not asked for them


def test_a_teacher_of_other_classes_is_to_be_fine_tuned_first(data):
    message = (
        r"^teacher 'timm:resnet10t': its pre-trained weights have 1000 classes, digits has 10; say with --label-map "
        r"FILE which are which, or fine-tune it first: "
        r"potstill supervised --network timm:resnet10t --weights pretrained --data digits$"
    )
    for weights in (None, "pretrained"):
        with pytest.raises(BadInput, match=message):
            create_trained("timm:resnet10t", data, weights)


def test_fine_tuning_as_the_message_says(monkeypatch, offered, tmp_path, capsys):
    monkeypatch.setattr(ps.networks.weights, "find_pretrained", lambda _: offered(1000))
    training = replace(SHORT, lr=1e-9, weight_decay=0, out=tmp_path / "run")
    supervised(network="timm:resnet10t", weights="pretrained", training=training)
    assert (
        "timm:resnet10t starts from pretrained, but for fc: there it has other classes, or none\n"
        in capsys.readouterr().err
    )
    network = ps.networks.create(str(tmp_path / "run"))
    torch.testing.assert_close(network.conv1[0].weight, offered(1000).build().conv1[0].weight)
    assert create_trained(str(tmp_path / "run"), SHORT.load_data()).fc.out_features == 10


@pytest.mark.parametrize("recipe", ["student", "peers", "rocket"])
def test_learners_of_one_size_get_that(monkeypatch, recipe, capsys):
    caught = []
    monkeypatch.setattr(ps, "fit", lambda distiller, *_: caught.append(distiller) or {}, raising=False)
    vit, training = "timm:test_vit", replace(SHORT, batch_size=2)
    if recipe == "student":
        supervised(network=vit, training=training)
    elif recipe == "peers":
        mutual(networks=("resnet8", vit), training=training)
    else:
        rocket(light="resnet8", booster=vit, share="none", training=training)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if " sees " in line)
    name = {"student": vit, "peers": "b", "rocket": "booster"}[recipe]
    assert line == f"potstill: {name} sees 160x160 images"
    caught[0](training.load_data().example())[0].backward()


def test_a_run_of_a_network_of_one_size_is_a_teacher(tmp_path, capsys):
    training = replace(SHORT, batch_size=10, images=20, test_images=20)
    supervised(network="timm:test_vit", training=replace(training, out=tmp_path / "run"))
    capsys.readouterr()
    teacher = create_trained(str(tmp_path / "run"), training.load_data())
    assert capsys.readouterr().err == "potstill: teacher sees 160x160 images\n"
    assert ps.evaluate(teacher, training.load_data().test)["loss"] == pytest.approx(recorded(tmp_path / "run")["loss"])
    with pytest.raises(BadInput, match="takes images of 160x160 only, not of 64x64$"):
        create_trained(str(tmp_path / "run"), training.load_data(), size=64)


def test_a_student_may_start_from_a_run_of_other_classes(other, data):
    student = create_learner("resnet8", data, SHORT, seed=3, weights=other)
    assert fingerprint(student) == fingerprint(ps.networks.create(str(other)))
    assert not student._forward_pre_hooks  # it learns to see the data as it is


ERRORS = {
    (
        "resnet8",
        None,
        None,
    ): r"^teacher 'resnet8' has no trained weights; give --teacher-weights FILE, or a run folder$",
    ("timm:test_beit3", None, None): r"^unknown timm network 'test_beit3'; did you mean test_",
    ("timm:botnet50ts_256", None, None): r"^teacher 'timm:botnet50ts_256' has no trained weights; give --teacher-w",
    ("resnet9b", None, None): r"^unknown network 'resnet9b'; did you mean resnet",
    ("resnet8", "pretrained", None): r"^there are no pre-trained weights of resnet8, only of networks of timm: and",
    ("timm:test_vit", "{other}", None): r"student\.safetensors does not fit VisionTransformer: ",
    ("{other}", None, 0): r"^teacher: images have a size of 1 or more, not 0$",
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_one_line(case, other, data):
    spec, weights, size = (part.format(other=other) if isinstance(part, str) else part for part in case)
    with pytest.raises(BadInput, match=ERRORS[case]) as error:
        create_trained(spec, data, weights, size=size)
    assert "\n" not in str(error.value)


def test_without_a_connection_the_flag_for_a_file_is_named(monkeypatch, offered, data):
    def fail():
        raise OSError("no route to host")

    monkeypatch.setattr(pretrained, "find_pretrained", lambda _: offered(10))
    monkeypatch.setattr(ps.networks.weights, "find_pretrained", lambda _: replace(offered(10), build=fail))
    message = (
        r"^cannot download the weights of timm:resnet10t \(timm/resnet10t\): no route to host; give --weights FILE$"
    )
    with pytest.raises(BadInput, match=message):
        create_trained("timm:resnet10t", data, kind="network", flag="--weights")
