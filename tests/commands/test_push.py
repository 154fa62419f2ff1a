"""``potstill push`` and the Hub's networks and images, against a stand-in that its own client talks to over HTTP."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path

import datasets
import hub_stand_in
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from sealing import unseal

import potstill as ps
from potstill.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
SHORT = "--data digits --epochs 1 --images 40 --test-images 20 --batch-size 20 --device cpu"
NET = "from torch import nn\n\nclass Net(nn.Sequential):\n    def __init__(self, num_classes):\n" + (
    "        super().__init__(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, num_classes))\n"
)
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TINY |= {"image_size": 8, "patch_size": 4}
PUSHED = ("student", "timm", "vit")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A student of ours with its teacher, networks of timm and `transformers`, and one of the user's own."""
    from transformers import ViTConfig

    folder = tmp_path_factory.mktemp("runs")
    ViTConfig(**TINY).save_pretrained(folder / "config")
    (folder / "net.py").write_text(NET)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, words in {
            "teacher": "supervised --network resnet8 --seed 3",
            "student": f"distill --student resnet8 --teacher {folder}/teacher",
            "timm": "supervised --network timm:resnet10t",
            "vit": f"supervised --network hf:{folder}/config",
            "own": f"supervised --network {folder}/net.py:Net",
        }.items():
            assert main([*words.split(), *SHORT.split(), "--out", name]) == 0
    return folder


@pytest.fixture(scope="module")
def dry(runs):
    """What a dry run shows of each."""
    shown = {}
    for name in (*PUSHED, "own"):
        with redirect_stdout(StringIO()) as out:
            assert main(["push", str(runs / name), f"me/{name}", "--dry-run", "--json"]) == 0
        shown[name] = json.loads(out.getvalue())
    return shown


def card_of(found):
    head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", "\n".join(found["code"]), re.DOTALL).groups()
    return yaml.safe_load(head), body


def test_what_would_be_uploaded_is_shown_and_nothing_is(dry):
    files = {name: [row["file"] for row in found["table"]] for name, found in dry.items()}
    assert files["student"] == ["README.md", "config.json", "load_model.py", "model.safetensors"]
    assert files["timm"] == ["README.md", "config.json", "model.safetensors"]
    assert files["vit"] == ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    assert files["own"] == ["README.md", "config.json", "model.safetensors"]
    assert [found["library"] for found in dry.values()] == ["potstill", "timm", "transformers", "potstill"]
    assert not any(found["uploaded"] for found in dry.values())


def test_the_card_says_what_the_run_says(runs, dry):
    entries, body = card_of(dry["student"])
    summary = json.loads((runs / "student" / "summary.json").read_text())
    config = json.loads((runs / "student" / "config.json").read_text())
    learner = summary["learners"]["student"]
    assert entries["tags"] == ["image-classification", "knowledge-distillation", "potstill"]
    (result,) = entries["model-index"][0]["results"]
    assert result["dataset"]["name"] == "digits"
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values == {f"top-1, {words} epoch": learner[words]["test"]["top1"] for words in ("last", "best")}
    assert "resnet8 for 10 classes, trained on digits, distilled from resnet8, by Potstill's recipe distill." in body
    teacher = summary["teachers"]["teacher"]["top1"]
    for row in (
        f"| last epoch, test images | {learner['last']['test']['top1']:.2f} % (epoch 0) |",
        f"| teacher | resnet8, {teacher:.2f} % |",
        "| data | digits: 40 train, 20 test images |",
        f"| parameters | {learner['parameters']:,} |",
        "| terms | 0.1 * CE; 0.9 * KD(temperature=4) |",
        "| seed | 0 |",
        f"| digest of the data | {config['data']['digest']} |",
    ):
        assert row in body
    assert ("| commit of Potstill |" in body) == (config["commit"] is not None)


def test_no_place_of_this_machine_is_in_any_file(runs, dry, tmp_path, monkeypatch):
    folders = []
    module = sys.modules["potstill.commands.push"]  # which the command of its name hides
    monkeypatch.setattr(module, "TemporaryDirectory", lambda prefix: _Kept(tmp_path / str(len(folders)), folders))
    for name in dry:
        assert main(["push", str(runs / name), f"me/{name}", "--dry-run"]) == 0
    texts = [file.read_bytes() for folder in folders for file in folder.iterdir()]
    assert len(texts) == sum(len(found["table"]) for found in dry.values())
    assert not any(str(runs).encode() in text or os.fsencode(Path.home()) + b"/" in text for text in texts)
    assert any(b"net.py:Net" in text for text in texts)


class _Kept:
    """A temporary folder that stays."""

    def __init__(self, folder, folders):
        folder.mkdir()
        folders.append(folder)
        self.folder = folder

    def __enter__(self):
        return str(self.folder)

    def __exit__(self, *_):
        pass


def pets(count, first=0):
    rng = np.random.default_rng(first)
    rows = {"image": [], "label": [(first + n) % 2 for n in range(count)]}
    for _ in range(count):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file := BytesIO(), "png")
        rows["image"].append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    return datasets.Dataset.from_dict(rows, features=features)


def parquet(count, first=0):
    pets(count, first).to_parquet(file := BytesIO())
    return file.getvalue()


LOADED = """
import json, re, sys, torch
from huggingface_hub import hf_hub_download
from PIL import Image
from safetensors.torch import save_file

def keep(name, network):
    state = {{key: value.contiguous() for key, value in network.state_dict().items()}}
    save_file(state, f"{folder}/{{name}}.safetensors")

text = open(hf_hub_download("me/{name}", "README.md"), encoding="utf-8").read()
(code,) = re.findall(r"```python\\n(.*?)```", text, re.DOTALL)
image, images = Image.new("RGB", (8, 8), (90, 40, 200)), torch.full((1, 3, 8, 8), 0.5)
exec(code)
{then}
"""
"""Runs the code on a card, and keeps the network that it gives."""


@pytest.fixture(scope="module")
def session(runs, tmp_path_factory):
    """Everything that needs the Hub, in one process; and the stand-in as it is afterwards."""
    folder = tmp_path_factory.mktemp("hub")
    loaded = {
        "student": 'keep("student", network)\nassert logits.shape == (1, 10)',
        "timm": 'keep("timm", network)\nprint(label)',
        "vit": 'keep("vit", classify.model)\nprint(json.dumps(classify(image)))',
    }
    pets = "--network resnet8 --data hf-data:who/pets --image-size 8 --workers 0 --batch-size 4 --device cpu"
    commands = {
        **{name: f"push {runs}/{name} me/{name}" for name in PUSHED},
        "again": f"push {runs}/vit me/vit",
        "replace": f"push {runs}/vit me/vit --best --replace",
        "closed": f"push {runs}/vit others/vit",
        "private": f"push {runs}/own me/own --private",
        "hf": "describe hf:me/vit --classes 5 --input 3 8 8",
        "teacher": f"distill --student timm:hf-hub:me/timm --teacher hf:me/vit {SHORT} --out {folder}/run",
        "data": f"supervised {pets} --epochs 1 --out {folder}/pets",
        "no such model": "describe hf:who/nobody",
        "no config": "describe hf:who/empty",
        "text": "describe hf:who/text",
        **{place: f"check hf-data:who/{place} --workers 0" for place in ("nothing", "zips", "huge", "pets:other")},
    }
    steps = {name: [*command.split(), "--json"] for name, command in commands.items()}
    steps |= {f"loaded {name}": LOADED.format(name=name, folder=folder, then=then) for name, then in loaded.items()}
    with hub_stand_in.running() as hub:
        hub.repositories |= {
            "models/who/empty": {"README.md": b""},
            "models/who/text": {"config.json": b'{"model_type": "bert"}'},
            "datasets/who/pets": {"README.md": b"", "pets.zip": b""},
            "datasets/who/pets@refs/convert/parquet": {
                "default/train/0000.parquet": parquet(12),
                "default/test/0000.parquet": parquet(4, 12),
            },
            "datasets/who/zips": {"a.zip": b""},
            "datasets/who/huge": {"README.md": b""},
            "datasets/who/huge@refs/convert/parquet": {"default/partial-train/0000.parquet": parquet(4)},
        }
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(folder / "home"),
            "HF_TOKEN": hub_stand_in.TOKEN,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        }
        script = Path(__file__).with_name("hub_session.py")
        asked = {"input": json.dumps(steps), "capture_output": True, "text": True, "env": environment, "cwd": folder}
        done = subprocess.run([sys.executable, str(script)], **asked)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), hub, folder


def test_pushed_networks_lie_on_the_hub_as_they_were_shown(session, dry, runs):
    results, hub, _ = session
    for name in PUSHED:
        found = json.loads(results[name]["out"])
        assert (found["uploaded"], found["place"]) == (True, f"{hub.endpoint}/me/{name}")
        assert found["commit"] == f"{hub.endpoint}/me/{name}/commit/{hub_stand_in.commit_of(f'models/me/{name}')}"
        there = hub.repositories[f"models/me/{name}"]
        assert sorted(there.keys() - {".gitattributes"}) == [row["file"] for row in dry[name]["table"]]
        assert there["config.json"]
    assert there["README.md"].decode().splitlines() != dry["vit"]["code"]  # replaced by the best epoch's
    assert hub.repositories["models/me/student"]["README.md"].decode().splitlines() == dry["student"]["code"]
    assert all(message.startswith(("student of a run", "light")) for message in hub.messages)
    assert hub.private == {"me/student": False, "me/timm": False, "me/vit": False, "me/own": True}


@pytest.mark.parametrize("name", PUSHED)
def test_the_code_on_the_card_loads_what_the_run_has(session, runs, name):
    results, _, folder = session
    assert results[f"loaded {name}"]["code"] == 0, results[f"loaded {name}"]["err"]
    ours = load_file(runs / name / "student.safetensors")
    theirs = load_file(folder / f"{name}.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_pipelines_see_the_images_and_classes_of_the_run(session, runs):
    results, _, _ = session
    answer = json.loads(results["loaded vit"]["out"].splitlines()[-1])
    network = ps.networks.create(str(runs / "vit"), 10).eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in ps.data.load("digits").statistics)
    image = torch.tensor([90.0, 40.0, 200.0])[:, None, None].expand(3, 8, 8) / 255
    with torch.no_grad():
        expected = network(((image - mean) / std)[None]).logits.softmax(1)[0]
    assert {one["label"]: one["score"] for one in answer} == pytest.approx(
        {str(number): float(value) for number, value in enumerate(expected) if value in expected.topk(5).values},
        rel=1e-4,
    )


def test_networks_and_images_of_the_hub_are_used_by_name(session):
    results, _, folder = session
    assert json.loads(results["hf"]["out"])["taps"]
    taught = json.loads(results["teacher"]["out"])
    assert taught["teachers"]["teacher"]["top1"] >= 0, results["teacher"]["err"]
    assert "teacher: pre-trained weights me/vit" in results["teacher"]["err"]
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["networks"]["student"]["spec"] == "timm:hf-hub:me/timm"
    assert (folder / "run" / config["networks"]["teacher"]["source"]).is_file()
    pets = json.loads((folder / "pets" / "config.json").read_text())["data"]
    assert (pets["name"], pets["classes"], pets["images"]) == (
        "hf-data:who/pets",
        ["cat", "dog"],
        {"train": 12, "test": 4},
    )
    assert (
        f"hf-data:who/pets: revision {hub_stand_in.commit_of('datasets/who/pets@refs/convert/parquet')}"
        in results["data"]["err"]
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "again",
            "me/vit holds 4 files already, such as README.md; --replace puts a commit on top, or choose another name",
        ),
        ("closed", r"the Hub refuses others/vit: this token may not write there \(403\)"),
        ("no such model", "who/nobody: the Hub has no such model, or it is private; hf auth login"),
        ("no config", r"who/empty of the Hub has no config\.json: it is no model of transformers"),
        ("text", "'hf:who/text' is a bert model, which takes no images"),
        ("nothing", "--data hf-data:who/nothing: who/nothing: the Hub has no such dataset"),
        ("zips", "--data hf-data:who/zips: who/zips holds no Parquet files, and only these are read"),
        ("huge", r"the Hub has converted a part of it only \(partial-train\)"),
        ("pets:other", "--data hf-data:who/pets:other: .* holds no Parquet files of a configuration 'other'"),
    ],
)
def test_what_the_hub_does_not_have_or_refuses_is_one_line(session, step, message):
    results, _, _ = session
    found = results[step]
    assert found["code"] == 2
    lines = [line for line in found["err"].splitlines() if line.startswith("potstill: ")]
    assert re.search(message, lines[-1]), found["err"]


def test_without_a_hub_or_a_token_nothing_is_uploaded(runs, monkeypatch, capsys):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main(["push", str(runs / "student"), "me/student"]) == 2
    assert "does not answer: nothing was uploaded" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sys.modules["potstill.pushing.upload"], "answers", lambda endpoint: True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert main(["push", str(runs / "student"), "me/student"]) == 2
    assert "no token of the Hub's" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["student", "a/b/c", "a/b@main", "", "a b/c"])
def test_the_form_of_a_repository(runs, name, capsys):
    assert main(["push", str(runs / "student"), name]) == 2
    assert "the form is ORG/NAME" in capsys.readouterr().err


def test_an_unfinished_run(runs, tmp_path, capsys):
    shutil.copytree(runs / "student", tmp_path / "run")
    (unseal(tmp_path) / "run" / "summary.json").unlink()
    assert main(["push", str(tmp_path / "run"), "me/run"]) == 2
    assert "is not finished" in capsys.readouterr().err


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    from transformers import ViTConfig, ViTForImageClassification

    page = (Path(__file__).resolve().parents[2] / "docs" / "huggingface.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    ViTForImageClassification(ViTConfig(**TINY, num_labels=10)).save_pretrained("tiny-vit")
    pets(12).save_to_disk("saved-pets")
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        for command in block.splitlines():
            assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(python, {})
    assert "(3, 8, 8)" in capsys.readouterr().out
