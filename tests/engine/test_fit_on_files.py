"""Runs on images in files: the same bits whoever decodes them, killed or not."""

import json

import pytest
from drawn import by_hand

import potstill as ps
from potstill.cli import main
from potstill.errors import BadInput
from potstill.losses import CE
from potstill.training import Training


def flags(folder, out, *more):
    usual = ["--data", str(folder), "--image-size", "16", "--epochs", "2", "--batch-size", "5", "--lr", "0.01"]
    return [*usual, "--out", str(out), *more]


def results(out):
    return (out / "student.safetensors").read_bytes(), [
        {name: value for name, value in json.loads(line).items() if name in ("terms", "learners")}
        for line in (out / "metrics.jsonl").read_text().splitlines()
    ]


def test_workers_do_not_change_a_run(picture_folder, tmp_path):
    for workers in ("0", "2"):
        words = flags(picture_folder, tmp_path / workers, "--workers", workers)
        assert main(["supervised", "--network", "resnet8", *words]) == 0
    assert results(tmp_path / "0") == results(tmp_path / "2")
    summary = json.loads((tmp_path / "2" / "summary.json").read_text())
    assert summary["learners"]["student"]["last"]["test"]["n"] == 3


def test_the_run_keeps_what_its_network_has_to_be_told(picture_folder, tmp_path, capsys):
    words = flags(picture_folder, tmp_path / "run", "--workers", "0", "--normalize", "0.5 0.5 0.5 0.2 0.2 0.2")
    assert main(["supervised", "--network", "resnet8", *words]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["classes"] == ["blue", "green", "red"]
    assert config["data"]["shape"] == [3, 16, 16]
    assert config["data"]["std"] == [0.2, 0.2, 0.2]
    assert config["networks"]["student"]["classes"] == 3
    capsys.readouterr()
    evaluate = ["evaluate", "--network", str(tmp_path / "run"), "--data", str(picture_folder), "--workers", "0"]
    assert main([*evaluate, "--json"]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert json.loads(capsys.readouterr().out) == summary["learners"]["student"]["last"]["test"]


def test_other_classes_are_said(picture_folder, tmp_path, capsys):
    assert main(["supervised", "--network", "resnet8", *flags(picture_folder, tmp_path / "run", "--workers", "0")]) == 0
    evaluate = ["evaluate", "--network", str(tmp_path / "run"), "--data", f"{picture_folder}/", "--workers", "0"]
    capsys.readouterr()
    assert main(evaluate) == 0
    assert "such as" not in capsys.readouterr().err
    for split in ("train", "val"):
        (picture_folder / split / "blue").rename(picture_folder / split / "azure")
    assert main(evaluate) == 0
    told = capsys.readouterr().err
    assert f"1 of 3, such as 'blue' where {picture_folder} has 'azure'" in told


def test_a_slash_at_the_end_and_other_workers_make_no_other_run(picture_folder, tmp_path):
    for data, workers in ((f"{picture_folder}/", "0"), (str(picture_folder), "1")):
        assert main(["supervised", "--network", "resnet8", *flags(data, tmp_path / "run", "--workers", workers)]) == 0


def test_a_stopped_run_ends_bit_identical(picture_folder, tmp_path):
    class Stop(Exception):
        pass

    class StopsOnce(CE):
        calls = 0

        def forward(self, *inputs):
            StopsOnce.calls += 1
            if StopsOnce.calls == 5:  # in the middle of the second epoch
                raise Stop
            return super().forward(*inputs)

    def run(loss, out):
        training = Training(
            data=str(picture_folder), image_size=16, epochs=2, batch_size=5, lr=0.01, workers=2, out=tmp_path / out
        )
        data = training.load_data()
        networks = {"student": ps.networks.create("resnet8", 3, seed=0)}
        terms = [ps.Term(loss, "student", "labels", name="loss")]
        ps.fit(ps.Distiller(networks, terms, example=data.example()), data, training)

    run(CE(), "whole")
    with pytest.raises(BadInput, match="term 'loss' failed: Stop"):
        run(StopsOnce(), "stopped")
    assert len((tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()) == 1
    run(CE(), "stopped")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")


def test_a_run_does_not_go_on_with_other_classes(picture_folder, tmp_path, capsys):
    words = flags(picture_folder, tmp_path / "run", "--workers", "0")
    assert main(["supervised", "--network", "resnet8", *words]) == 0
    for split in ("train", "val"):  # as many, in another order
        (picture_folder / split / "red").rename(picture_folder / split / "amber")
    assert main(["supervised", "--network", "resnet8", *words]) == 2
    assert "3 classes there and 3 now; different: amber, red; choose another --out" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_other_images(picture_folder, tmp_path, capsys):
    words = flags(picture_folder, tmp_path / "run", "--workers", "0")
    assert main(["supervised", "--network", "resnet8", *words]) == 0
    (picture_folder / "train" / "red" / "0.png").unlink()
    assert main(["supervised", "--network", "resnet8", *words]) == 2
    assert "had 12 train images then and has 11 now; choose another --out" in capsys.readouterr().err


def test_a_run_from_the_cache(picture_folder, tmp_path, capsys):
    words = flags(picture_folder, tmp_path / "run", "--workers", "1", "--cache")
    assert main(["supervised", "--network", "resnet8", *words]) == 0
    assert "decoding 12 images" in capsys.readouterr().err


@pytest.mark.parametrize(("policy", "code"), [("fatal", 2), ("skip", 0)])
def test_a_bad_image(picture_folder, tmp_path, capsys, policy, code):
    (picture_folder / "train" / "red" / "2.png").write_bytes(b"no image")
    words = flags(picture_folder, tmp_path / "run", "--workers", "1", "--on-bad-image", policy)
    assert main(["supervised", "--network", "resnet8", *words]) == code
    told = capsys.readouterr().err
    assert "red/2.png cannot be read" in told
    assert (tmp_path / "run" / "summary.json").is_file() == (policy == "skip")


@by_hand
def test_channel_on_imagenets_photographs(shared_data, tmp_path, capsys):
    sample = ["--data", "imagenet", "--data-dir", str(shared_data / "imagenet_sample"), "--batch-size", "6"]
    few = ["--images", "12", "--test-images", "6", "--lr", "1e-6", "--workers", "2", "--image-size", "96"]
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    assert main(["supervised", "--network", "resnet34", *sample, *few, "--epochs", "1", "--out", str(teacher)]) == 0
    words = ["channel", "--student", "resnet18", "--teacher", str(teacher), *sample, *few]
    assert main([*words, "--epochs", "2", "--out", str(student)]) == 0
    config = json.loads((student / "config.json").read_text())
    assert len(config["data"]["classes"]) == 1000
    assert config["data"]["shape"] == [3, 96, 96]
    first, second = (json.loads(line)["terms"] for line in (student / "metrics.jsonl").read_text().splitlines())
    assert list(first) == [f"CD student.stage{stage}" for stage in range(1, 5)]  # early decay: the channels alone
    assert list(second) == ["CE student", *first, "KD student"]
