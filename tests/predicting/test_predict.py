"""Predictions are those of the run's own network on pictures that are made as torchvision makes them."""

import csv
import io
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torchvision.transforms import v2

import potstill as ps
from potstill.cli import main
from potstill.data.digits import digits

SHORT = "--network resnet8 --epochs 2 --lr 0.02 --batch-size 6 --device cpu --workers 0"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pictures in three classes, deep ones of 12 bits among them, and a run on them; a run on the digits."""
    folder = tmp_path_factory.mktemp("made")
    noise = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 3)):
        for channel, name in enumerate(("=red", "green", "blue")):
            place = folder / "pictures" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(100, size=(20 + 5 * number, 40 - 5 * number, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(place / f"{number}.png")
            Image.fromarray(noise.integers(4096, size=(24, 30)).astype(np.uint16)).save(place / "deep.png")
    run = f"supervised {SHORT} --data {folder / 'pictures'} --image-size 16 --normalize rocket --out {folder / 'run'}"
    assert main(run.split()) == 0
    assert main(f"supervised {SHORT} --data digits --images 60 --out {folder / 'digits'}".split()) == 0
    return folder


def predict(line, capsys, code=0):
    capsys.readouterr()
    words = [str(word) for word in line]
    assert main(["predict", *words, "--json"]) == code, capsys.readouterr().err
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def reference(run, file, size, shorter, statistics):
    """The probabilities of a picture, by torchvision's own transforms."""
    picture = Image.open(file)
    if picture.mode.startswith("I"):
        values = (np.array(picture).astype(np.uint16) >> 4).astype(np.uint8)
        picture = Image.fromarray(values).convert("RGB")
    steps = [v2.PILToTensor(), v2.Resize(shorter), v2.CenterCrop(size), v2.ToDtype(torch.float64, scale=True)]
    image = v2.Compose([*steps, v2.Normalize(*statistics)])(picture)
    network = ps.networks.create(str(run), 10 if "digits" in str(run) else 3).double().eval()
    with torch.no_grad():
        return network(image[None]).softmax(1)[0]


def test_pictures_in_files_are_made_as_the_run_made_them(made, capsys):
    places = sorted((made / "pictures" / "val").rglob("*.png"))
    found, said = predict([made / "run", made / "pictures" / "val", "--top", 3], capsys)
    assert said == ""
    assert [one["image"] for one in found["predictions"]] == list(map(str, places))
    statistics = ps.data.normalize.STATISTICS["rocket"]
    for one, file in zip(found["predictions"], places, strict=True):
        expected = reference(made / "run", file, 16, round(16 / 0.875), statistics)
        order = expected.argsort(descending=True).tolist()
        assert [top["class"] for top in one["top"]] == [sorted(("=red", "green", "blue"))[k] for k in order]
        shares = torch.tensor([top["probability"] for top in one["top"]], dtype=torch.float64)
        assert torch.allclose(shares, expected[order], rtol=1e-4, atol=1e-6)


def test_they_are_as_accurate_as_the_run_says(made, capsys):
    found, _ = predict([made / "run", made / "pictures" / "val"], capsys)
    right = [Path(one["image"]).parent.name == one["top"][0]["class"] for one in found["predictions"]]
    summary = json.loads((made / "run" / "summary.json").read_text())
    assert 100 * sum(right) / len(right) == pytest.approx(summary["learners"]["student"]["last"]["test"]["top1"])


def test_bits_of_deep_pictures_are_kept_with_the_run(made):
    data = json.loads((made / "run" / "config.json").read_text())["data"]
    assert data["bits"] == 12
    assert "bits" not in json.loads((made / "digits" / "config.json").read_text())["data"]


def test_small_data_sets_are_seen_whole(made, tmp_path, capsys):
    test = digits()[1]
    Image.fromarray(test.images[3].numpy()).save(tmp_path / "same.png")
    Image.fromarray(test.images[3].numpy()).resize((24, 16)).save(tmp_path / "wide.png")
    found, _ = predict([made / "digits", tmp_path / "same.png", tmp_path / "wide.png", "--top", 10], capsys)
    same, wide = found["predictions"]
    for one, file in ((same, "same.png"), (wide, "wide.png")):
        expected = reference(made / "digits", tmp_path / file, 8, 8, ps.data.normalize.STATISTICS["digits"])
        by_class = torch.zeros(10, dtype=torch.float64)
        for top in one["top"]:
            by_class[int(top["class"])] = top["probability"]
        assert torch.allclose(by_class, expected, rtol=1e-4, atol=1e-6)


def test_many_pictures_by_processes_are_the_same_in_the_same_order(made, tmp_path, capsys):
    for n in range(210):
        shutil.copy(made / "pictures" / "val" / ("green", "blue")[n % 2] / f"{n % 3}.png", tmp_path / f"{n}.png")
    (tmp_path / "100.png").write_bytes(b"broken")
    here, _ = predict([made / "run", tmp_path, "--on-bad-image", "skip", "--workers", 0], capsys)
    there, _ = predict([made / "run", tmp_path, "--on-bad-image", "skip", "--workers", 2], capsys)
    assert here == there
    assert len(here["predictions"]) == 209
    assert [row["image"] for row in here["unreadable"]] == [str(tmp_path / "100.png")]


@pytest.fixture
def odd(made, tmp_path):
    """A folder of sound and of hostile files."""
    shutil.copy(made / "pictures" / "val" / "green" / "0.png", tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[:200])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    (tmp_path / "lost.gif").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(whole)
    (tmp_path / "[bold]\x1b[31m.png").write_bytes(whole)
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    return tmp_path


def test_pictures_that_cannot_be_read_are_named_and_the_others_predicted(made, odd, capsys):
    found, said = predict([made / "run", odd], capsys, code=2)
    assert len(found["predictions"]) == 3
    names = [Path(row["image"]).name for row in found["unreadable"]]
    assert names == ["empty.jpg", "half.png", "lost.gif", "pipe.png", "script.jpg"]
    assert all(row["reason"] for row in found["unreadable"])
    lines = said.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "potstill: faults found: 5"
    assert all("cannot be read and is left out: " in line for line in lines[:-1])
    assert predict([made / "run", odd, "--on-bad-image", "skip"], capsys)[0]["wrong"] == []


def test_a_terminal_is_shown_names_as_text(made, odd, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["predict", str(made / "run"), str(odd), "--on-bad-image", "skip"]) == 0
    text = capsys.readouterr().out
    assert r"[bold]\x1b[31m.png" in text
    assert "\x1b" not in text
    assert r"caf\udce9.png" in text


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_files_hold_what_is_printed(made, odd, capsys, ending):
    words = [made / "run", odd, "--top", 3, "--on-bad-image", "skip"]
    printed, _ = predict(words, capsys)
    out = odd / "new" / f"p{ending}"
    told, _ = predict([*words, "--out", out], capsys)
    assert "predictions" not in told
    assert told["out"] == str(out)
    if ending == ".json":
        assert json.loads(out.read_text())["predictions"] == printed["predictions"]
        return
    text = out.read_text("utf-8") if ending == ".csv" else ""
    rows = list(csv.DictReader(io.StringIO(text))) if text else pyarrow.parquet.read_table(out).to_pylist()
    assert len(rows) == 8
    for row, one in zip(rows, printed["predictions"], strict=False):
        for rank, top in enumerate(one["top"], start=1):
            assert row[f"class_{rank}"].lstrip("'") == top["class"]
            assert float(row[f"probability_{rank}"]) == pytest.approx(top["probability"], rel=1e-6)
    assert [bool(row["problem"]) for row in rows] == [False] * 3 + [True] * 5
    classes = {row[f"class_{rank}"] for row in rows for rank in (1, 2, 3)}
    assert ("'=red" in classes) == (ending == ".csv"), "no formula in a spreadsheet"
    assert rows[2]["image"].endswith(r"caf\udce9.png")


def small_onnx(file, **about):
    """A network that averages colours, as ONNX, with metadata."""
    weight = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32) * 9
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"images": ["batch", 3, 8, 8], "logits": ["batch", 3]}.items()
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, about)
    onnx.save(model, file)
    return file


ABOUT = {
    **{"classes": '["red", "green", "blue"]', "mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.25, 0.5]"},
    **{"shape": "[3, 8, 8]", "shorter_side": "9", "network": "small"},
}


def test_an_onnx_file(made, tmp_path, capsys):
    file = small_onnx(tmp_path / "small.onnx", **ABOUT)
    picture = made / "pictures" / "val" / "green" / "1.png"
    found, said = predict([file, picture, "--top", 3], capsys)
    assert said == ""
    assert (found["file"], found["network"]) == (str(file), "small")
    steps = [v2.PILToTensor(), v2.Resize(9), v2.CenterCrop(8), v2.ToDtype(torch.float64, scale=True)]
    image = v2.Compose([*steps, v2.Normalize((0.5, 0.5, 0.5), (0.5, 0.25, 0.5))])(Image.open(picture))
    expected = (9 * image.mean((1, 2))).softmax(0)
    shares = {top["class"]: top["probability"] for top in found["predictions"][0]["top"]}
    assert [shares[name] for name in ("red", "green", "blue")] == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": None}, "does not say its classes: potstill export writes such a file"),
        ({"classes": "[1]"}, "its classes are no names"),
        ({"classes": '["a"]'}, "the network gives 3 logits, but 1 classes have names"),
        ({"mean": "[0.5"}, "is damaged"),
        ({"mean": f"[1, 1, {'9' * 400}]"}, "no mean of three channels"),
        ({"std": "[0.5, 0, 0.5]"}, "no deviation of three channels"),
        ({"std": "[0.5, NaN, 0.5]"}, "no deviation of three channels"),
        ({"shape": "[1, 8, 8]"}, "has 1 x 8 x 8"),
        ({"shape": "[3, 8, true]"}, "no shape of an image"),
        ({"shape": f"[3, {10**9}, {10**9}]"}, "side of an image must be"),
        ({"shorter_side": "1e9"}, "shorter side of a picture must be"),
        ({"shorter_side": "[" * 5000}, "is damaged"),
        ({"bits": "99"}, "bits of a picture must be"),
        ({"shape": "[3, 16, 16]"}, "fails on 1 images"),
    ],
)
def test_an_onnx_file_of_somebody_elses(made, tmp_path, capfd, changed, message):
    about = {key: value for key, value in {**ABOUT, **changed}.items() if value is not None}
    file = small_onnx(tmp_path / "small.onnx", **about)
    assert main(["predict", str(file), str(made / "pictures" / "val" / "green" / "0.png")]) == 2
    said = capfd.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{made}/run", "predict needs pictures"),
        ("{made}/run {made}/pictures/vl", "did you mean {made}/pictures/val?"),
        ("{made}/run {made}/run", "holds no image"),
        ("{made}/runs {made}/pictures/val", "did you mean {made}/run or"),
        ("{made}/run:teacher {made}/pictures/val", "teacher"),
        ("{made}/run {made}/pictures/val --out x.xlsx", "ends in none of .csv, .json, .parquet"),
        ("{made}/run {made}/pictures/val --top 0", "--top"),
        ("{made}/run {made}/run/config.json", "none of the 1 pictures can be read"),
        ("nothing.onnx {made}/pictures/val", "no run folder"),
    ],
)
def test_bad_input_is_one_line(made, capsys, line, message):
    capsys.readouterr()
    assert main(["predict", *line.format(made=made).split()]) == 2
    said = capsys.readouterr()
    assert message.format(made=made) in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_a_run_on_loaders_that_say_nothing_of_their_images(made, tmp_path, capsys):
    batches = [(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))]
    for name, known in (("told", {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}), ("untold", {})):
        data = ps.data.from_loaders(batches, classes=["a", "b", "c"], **known)
        networks = {"student": ps.networks.create("resnet8", classes=3, seed=0)}
        distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
        ps.fit(distiller, data, ps.Training(epochs=1, out=tmp_path / name, device="cpu"))
    picture = made / "pictures" / "val" / "green" / "0.png"
    found, said = predict([tmp_path / "told", picture], capsys)
    assert "was trained on its own loaders: pictures are scaled to 8 pixels" in said
    expected = reference(tmp_path / "told", picture, 8, 8, ([0.1, 0.2, 0.3], [0.5] * 3))
    assert found["predictions"][0]["top"][0]["probability"] == pytest.approx(expected.max().item(), rel=1e-4)
    assert main(["predict", str(tmp_path / "untold"), str(picture)]) == 2
    assert "config.json does not say how they were normalised" in capsys.readouterr().err


def test_the_page_in_docs_runs(made, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).resolve().parents[2] / "docs" / "after-training.md").read_text(encoding="utf-8")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "student").symlink_to(made / "run", target_is_directory=True)
    (tmp_path / "pictures").symlink_to(made / "pictures", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert Path("predictions.csv").is_file()
    assert Path("details.csv").is_file()
