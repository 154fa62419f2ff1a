import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sealing import unseal

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.networks.teachers import create_teachers
from potstill.recipes import channel, distill, supervised
from potstill.term_strings import terms as parse
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=200, lr=0.05, test_images=200)
WORDS = "--data digits --epochs 1 --batch-size 200 --lr 0.05 --test-images 200"
TERMS = ("CE", "0.9 * KD(temperature=2)", "warmup(100, 2) * AT on stages")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two teachers, of different architectures and normalisations."""
    folder = tmp_path_factory.mktemp("teachers")
    supervised(network="resnet8", training=replace(SHORT, normalize="imagenet", seed=7, out=folder / "first"))
    supervised(network="wrn-10-1", training=replace(SHORT, seed=8, out=folder / "second"))
    return str(folder / "first"), str(folder / "second")


@pytest.fixture(scope="module")
def data():
    return SHORT.load_data()


def pair(runs, data, together):
    return {"student": ps.networks.create("resnet8", seed=0), **create_teachers(runs, data, together)}


def values(networks, terms, data):
    distiller = ps.Distiller(networks, terms, example=data.example())
    distiller.set_epoch(2)
    total, found = distiller(data.example())
    return total, found


def test_each_is_what_one_would_write_by_hand(runs, data):
    networks = pair(runs, data, "each")
    stages = ("stage1", "stage2", "stage3")
    by_hand = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        *(
            ps.Term(ps.losses.KD(2), "student", name, weight=0.45, name=f"KD {name}")
            for name in ("teacher1", "teacher2")
        ),
        *(
            ps.Term(ps.losses.AT(), f"student.{s}", f"{name}.{s}", weight=50, name=f"AT {s} {name}")
            for name in ("teacher1", "teacher2")
            for s in stages
        ),
    ]
    terms = parse(TERMS, networks)
    expected, ours = values(networks, by_hand, data), values(networks, terms, data)
    torch.testing.assert_close(ours[0], expected[0])
    assert list(ours[1]) == [
        "CE student",
        "KD student from teacher1",
        "KD student from teacher2",
        *(f"AT student.{stage} from teacher{i}" for i in (1, 2) for stage in stages),
    ]
    torch.testing.assert_close(list(ours[1].values()), list(expected[1].values()))
    assert [term.weight_at(0) for term in terms] == [1.0, 0.45, 0.45, *[25.0] * 6]


def test_mean_is_one_teacher_but_for_its_insides(runs, data):
    networks, apart = pair(runs, data, "mean"), pair(runs, data, "each")
    terms = parse([*TERMS, "PKT on fc:in=networks.1.fc:in"], networks)
    assert [term.flat_addresses[-1] for term in terms] == [
        "labels",
        "teacher",
        *(f"teacher.networks.{i}.stage{stage}" for i in (0, 1) for stage in (1, 2, 3)),
        "teacher.networks.1.fc:in",
    ]
    total, found = values(networks, terms, data)
    each = values(apart, parse(TERMS, apart), data)[1]
    assert found["AT student.stage2 from teacher2"] == each["AT student.stage2 from teacher2"]
    images = data.example()["images"]
    logits = {name: network.eval()(images) for name, network in apart.items()}
    student = networks["student"].train()(images)
    by_hand = ps.losses.KD(2)(student, (logits["teacher1"] + logits["teacher2"]) / 2)
    torch.testing.assert_close(found["KD student"], by_hand)
    assert total.isfinite()


@pytest.mark.parametrize("together", ["mean", "each"])
def test_each_network_runs_once_a_batch(runs, data, together):
    networks = pair(runs, data, together)
    distiller = ps.Distiller(networks, parse(TERMS, networks), example=data.example())
    members = networks["teacher"].networks if together == "mean" else [networks["teacher1"], networks["teacher2"]]
    calls = []
    for network in (networks["student"], *members):
        network.register_forward_hook(lambda network, *_: calls.append(network))
    distiller(data.example())
    assert len(calls) == 3 == len(set(calls))


@pytest.mark.parametrize("together", ["mean", "each"])
def test_a_run_of_two_teachers(tmp_path, runs, together, monkeypatch, capsys):
    caught = []
    fit = ps.fit
    monkeypatch.setattr(ps, "fit", lambda distiller, *rest: caught.append(distiller) or fit(distiller, *rest))
    before = [fingerprint(ps.networks.create(run)) for run in runs]
    out = tmp_path / "run"
    words = f"distill --student resnet8 --teacher {' '.join(runs)} --teachers {together} {WORDS} --out {out}".split()
    words = [*words, "--terms", *TERMS]
    assert main(words) == 0
    summary = json.loads((out / "summary.json").read_text())
    own = [json.loads((Path(run) / "summary.json").read_text())["learners"] for run in runs]
    config = json.loads((out / "config.json").read_text())
    assert (config["arguments"]["teacher"], config["arguments"]["teachers"]) == (list(runs), together)
    networks = caught[0].networks
    if together == "each":
        assert list(summary["teachers"]) == ["teacher1", "teacher2"]
        for measured, learners in zip(summary["teachers"].values(), own, strict=True):
            assert measured["top1"] == learners["student"]["last"]["test"]["top1"]
        assert config["teachers"] == dict(zip(["weights of teacher1", "weights of teacher2"], before, strict=True))
        after = [fingerprint(networks[name]) for name in ("teacher1", "teacher2")]
    else:
        assert list(summary["teachers"]) == ["teacher"]
        first, second = config["networks"]["teacher"]["mean_of"]
        assert (first["spec"], second["spec"]) == ("resnet8", "wrn-10-1")
        assert first["input"]["statistics"][0] == [0.485, 0.456, 0.406]
        assert "input" not in second
        after = [fingerprint(member) for member in networks["teacher"].networks]
    assert before == after
    assert not any(module.training for name in networks if name != "student" for module in networks[name].modules())
    assert main(words) == 0  # the same again is the same run
    assert main([*words, "--teachers", "each" if together == "mean" else "mean"]) == 2
    assert "holds another run" in capsys.readouterr().err


def test_one_teacher_is_recorded_as_ever_and_runs_of_before_go_on(tmp_path, runs):
    out = tmp_path / "run"
    training = replace(SHORT, out=out)
    first = distill(student="resnet8", teacher=runs[1], training=training)
    config = json.loads((out / "config.json").read_text())
    assert config["arguments"]["teacher"] == runs[1]
    for added in ("teachers", "teacher_normalize", "teacher_size"):
        assert config["arguments"].pop(added) is None
    (out / "config.json").write_text(json.dumps(config))
    unseal(out)
    assert distill(student="resnet8", teacher=runs[1], teachers="each", training=training) == first


def test_channel_with_two_teachers(tmp_path, runs):
    summary = channel(student="resnet8", teacher=runs, teachers="each", training=replace(SHORT, out=tmp_path / "run"))
    assert list(summary["teachers"]) == ["teacher1", "teacher2"]
    terms = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["terms"]
    assert "CD student.stage1 from teacher2" in terms


def test_files_go_to_those_that_bring_none(runs, data, tmp_path):
    first, second = runs
    files = (Path(first, "student.safetensors"), Path(second, "student.safetensors"))
    mixed = create_teachers((second, "resnet8"), data, "each", weights=files[0], normalize=("digits", "imagenet"))
    assert torch.equal(mixed["teacher2"].fc.weight, ps.networks.create(first).fc.weight)
    assert torch.equal(mixed["teacher1"].fc.weight, ps.networks.create(second).fc.weight)
    assert mixed["teacher2"].own_input.statistics[0] == (0.485, 0.456, 0.406)
    both = create_teachers(("resnet8", "wrn-10-1"), data, "each", weights=files, size=12)
    assert torch.equal(both["teacher2"].fc.weight, ps.networks.create(second).fc.weight)
    assert all(network.own_input.size == (12, 12) for network in both.values())


def test_errors(runs, data):
    files = tuple(map(Path, ("a.pt", "b.pt", "c.pt")))
    with pytest.raises(BadInput, match=r"^--teacher-weights has 3 files for 2 teachers; .* brings none: resnet8$"):
        create_teachers((runs[0], "resnet8"), data, "mean", weights=files)
    with pytest.raises(BadInput, match=r"brings none: all bring theirs$"):
        create_teachers(runs, data, "mean", weights=files[0])
    with pytest.raises(BadInput, match=r"^--teacher-size has 3 values for 2 teachers; give one for all, or one each$"):
        create_teachers(runs, data, "mean", size=(8, 9, 10))
    with pytest.raises(BadInput, match=r"^teacher2 'resnet8' has no trained weights"):
        create_teachers((runs[0], "resnet8"), data, "mean")
    with pytest.raises(BadInput, match=r"^--teacher needs a network"):
        create_teachers((), data, "mean")
