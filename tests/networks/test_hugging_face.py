"""Networks of `transformers` from tiny configurations: taught and teaching, stored, exported, and what is refused."""

import json
import os
import shutil
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn import drawn
from huggingface_hub import constants
from PIL import Image

import potstill as ps
from potstill import hub
from potstill.cli import main
from potstill.errors import BadInput
from potstill.networks.hugging_face import only_images
from potstill.networks.pretrained import find_pretrained
from potstill.networks.trained import create_trained

pytestmark = pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
SETTINGS = "--data digits --images 20 --test-images 10 --batch-size 10 --epochs 1 --device cpu"
TOKENS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SMALL = {"image_size": 32, "patch_size": 8}
TINY = {
    "vit": {**TOKENS, **SMALL},
    "deit": {**TOKENS, **SMALL},
    "beit": {**TOKENS, **SMALL},
    "dinov2": {**TOKENS, "image_size": 32, "patch_size": 8},
    "swin": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
    "swinv2": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
    "convnext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "image_size": 32},
    "convnextv2": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "image_size": 32},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "regnet": {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "groups_width": 8},
    "mobilenet_v2": {"depth_multiplier": 0.25, "image_size": 32},
    "mobilevit": {"hidden_sizes": [16, 16, 16], "neck_hidden_sizes": [8, 8, 16, 16, 16, 16, 32], "image_size": 64}
    | {"initializer_range": 0.2},
    "pvt": {
        "image_size": 32,
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 2, 2],
        "mlp_ratios": [2, 2, 2, 2],
    },
    "poolformer": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "levit": {
        "image_size": 64,
        "hidden_sizes": [16, 32, 32],
        "depths": [1, 1, 1],
        "num_attention_heads": [2, 2, 2],
        "key_dim": [8, 8, 8],
    },
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 128, "image_size": 32}
    | {"initializer_range": 0.2},
    "mobilenet_v1": {"depth_multiplier": 0.25, "image_size": 32},
    "dinov2_with_registers": {**TOKENS, **SMALL},
    "data2vec-vision": {**TOKENS, **SMALL},
    "bit": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_groups": 4},
    "focalnet": {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "hidden_sizes": [8, 16]}
    | {"focal_levels": [1, 1], "focal_windows": [3, 3]},
    "cvt": {"embed_dim": [8, 16, 16], "num_heads": [1, 2, 2], "depth": [1, 2, 3]},  # it counts blocks by stages
    "segformer": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
    "pvt_v2": {"image_size": 32, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    | {"num_attention_heads": [1, 1, 2, 2], "mlp_ratios": [2, 2, 2, 2]},
    "hiera": {"image_size": [32, 32], "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "patch_size": [7, 7]}
    | {"num_query_pool": 1, "masked_unit_size": [2, 2]},
    "swiftformer": {"image_size": 32, "embed_dims": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "drop_path_rate": 0.0},
}


def folder_of(kind, where, classes=10, **more):
    """A model with random weights and its configuration, as `transformers` saves them."""
    from transformers import AutoConfig, AutoModelForImageClassification

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**TINY[kind], **more}, num_labels=classes)
    kinds = AutoModelForImageClassification._model_mapping[type(config)]
    (kinds[0] if isinstance(kinds, tuple) else kinds)(config).save_pretrained(where)
    return f"hf:{where}"


@pytest.mark.parametrize("kind", drawn(TINY, 1))
def test_as_student_and_teacher_in_one_command(kind, picture_folder, tmp_path, capsys):
    spec, run = folder_of(kind, tmp_path / "model", classes=3), tmp_path / "run"
    data = f"--data {picture_folder} --image-size 64 --workers 0"
    words = [
        "distill",
        "--student",
        spec,
        "--teacher",
        spec,
        *SETTINGS.split()[6:],
        "--lr",
        "0.01",
        *data.split(),
        "--out",
        str(run),
    ]
    assert main([*words, "--terms", "CE", "KD", "1 * AT on stages"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert f"teacher: pre-trained weights {tmp_path / 'model'}" in said
    shutil.rmtree(tmp_path / "model")  # the run folder has what it needs
    assert main(["evaluate", "--network", str(run), *data.split(), "--device", "cpu"]) == 0, capsys.readouterr().err
    config = json.loads((run / "config.json").read_text())
    (student, teacher) = (config["networks"][name] for name in ("student", "teacher"))
    assert student == {**student, "spec": spec, "classes": 3, "source": "source/1/config.json"}
    assert teacher["spec"] == spec
    to = "torch" if kind not in ("swin", "swinv2") else "safetensors"
    assert main(["export", str(run), "--to", to, "--no-latency"]) == 0, capsys.readouterr().err


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A classifier with an image processor, whose images are of 8x8 pixels."""
    from transformers import ViTImageProcessorPil as Processor

    folder = tmp_path_factory.mktemp("vit")
    folder_of("vit", folder, image_size=8, patch_size=4)
    size = {"height": 8, "width": 8}
    Processor(size=size, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(folder)
    return folder


def pictures(side):
    return np.random.default_rng(0).integers(0, 255, (3, side, side, 3), dtype=np.uint8)


def data_of(side):
    """What a teacher is told of data: normalised in their own way."""
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    return SimpleNamespace(name="own", classes=tuple("0123456789"), shape=(3, side, side), statistics=(mean, std))


def given(images, data):
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in data.statistics)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    return ((pixels - mean) / std).float()


def by_the_library(folder, images):
    """Logits as `transformers` itself gives them, its processor included."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    seen = AutoImageProcessor.from_pretrained(folder)([Image.fromarray(image) for image in images], return_tensors="pt")
    with torch.no_grad():
        return AutoModelForImageClassification.from_pretrained(folder).eval()(**seen).logits


def test_a_teacher_sees_what_its_processor_makes_of_images(vit, capsys):
    images, data = pictures(8), data_of(8)
    teacher = create_trained(f"hf:{vit}", data)
    assert "teacher sees images normalised by mean 0.1 0.2 0.3" in capsys.readouterr().err
    logits = teacher(given(images, data)).logits
    torch.testing.assert_close(logits, by_the_library(vit, images), rtol=1e-4, atol=1e-6)


def test_a_teacher_that_learned_from_blue_green_red(tmp_path):
    from transformers import MobileViTImageProcessorPil as Processor

    spec = folder_of("mobilevit", tmp_path)
    Processor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    images, data = pictures(64), data_of(64)
    logits = create_trained(spec, data)(given(images, data)).logits
    torch.testing.assert_close(logits, by_the_library(tmp_path, images), rtol=1e-3, atol=1e-5)
    assert find_pretrained(spec).input == ps.networks.Input(((0.0,) * 3, (1.0,) * 3), (64, 64))


def test_parts_and_places_are_addresses(vit):
    networks = {"student": ps.networks.create(f"hf:{vit}", 10, seed=0), "teacher": ps.networks.create(f"hf:{vit}", 10)}
    networks["teacher"].config.output_hidden_states = True
    batch = {"images": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    ps.freeze(networks["teacher"])
    terms = ps.terms(["CE", "KD", "AT on vit.layers.0=vit.layers.1"], networks, batch)
    terms.append(ps.Term(torch.nn.functional.mse_loss, "student.vit.layernorm", "teacher#hidden_states#2"))
    total, values = ps.Distiller(networks, terms, batch)(batch)
    assert len(values) == 4
    total.backward()


def test_first_weights_are_the_seeds(vit):
    one, other, third = (ps.networks.create(f"hf:{vit}", 7, seed=seed) for seed in (1, 1, 2))
    state = one.state_dict()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in state.items())
    assert not torch.equal(one.classifier.weight, third.classifier.weight)
    assert (one.classifier.weight.shape, one.spec, one.classes) == ((7, 16), f"hf:{vit}", 7)


@pytest.mark.parametrize("kind", ["vit", "dinov2", "swin", "resnet"])
def test_which_take_one_size_of_images_only(kind, tmp_path):
    from potstill.networks.input import only_size

    network = ps.networks.create(folder_of(kind, tmp_path), 10)
    assert only_size(network) == ((32, 32) if kind == "vit" else None)
    assert only_images(network, network.config, "it") == only_size(network)


def test_a_backbone_gets_a_classifier(tmp_path, capsys):
    """With and without one in the library; its weights are no teacher."""
    from transformers import AutoConfig, AutoModel

    for kind, more in {"dinov2": TINY["dinov2"], "siglip_vision_model": {**TOKENS, **SMALL}}.items():
        torch.manual_seed(0)
        backbone = AutoModel.from_config(AutoConfig.for_model(kind, **more))
        backbone.save_pretrained(folder := tmp_path / kind)
        with pytest.raises(BadInput, match="weights are a backbone's, without a classifier; fine-tune"):
            create_trained(f"hf:{folder}", data_of(32))
        network, fresh = (ps.networks.create(f"hf:{folder}", 10, seed=0) for _ in range(2))
        assert ps.networks.start_from(network, "pretrained") == ("classifier",)
        inside = network.dinov2 if kind == "dinov2" else network.backbone
        assert all(torch.equal(value, inside.state_dict()[name]) for name, value in backbone.state_dict().items())
        assert torch.equal(network.classifier.weight, fresh.classifier.weight)
    run = tmp_path / "run"
    words = ["supervised", "--network", f"hf:{folder}", "--weights", "pretrained", *SETTINGS.split(), "--out", str(run)]
    assert main(words) == 0
    assert "starts from pretrained, but for classifier" in capsys.readouterr().err
    assert main(["export", str(run), "--to", "safetensors", "--no-latency"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("to", ["safetensors", *(["onnx"] if os.environ.get("POTSTILL_WHOLE") else [])])
def test_a_student_of_the_library_is_exported(vit, tmp_path, to, capsys):
    run = tmp_path / "run"
    assert main(["supervised", "--network", f"hf:{vit}", *SETTINGS.split(), "--out", str(run)]) == 0
    assert main(["export", str(run), "--to", to, "--no-latency"]) == 0, capsys.readouterr().err
    loader = run / "export" / "load_student.py"
    if to == "safetensors":
        assert str(vit) not in loader.read_text().partition("import json")[2]


def test_a_hosted_network_of_timm_is_stored_and_exported(tmp_path, capsys):
    content = {"architecture": "resnet10t", "num_classes": 5, "pretrained_cfg": {"num_classes": 5}}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(content))
    spec, run = f"timm:local-dir:{tmp_path / 'model'}", tmp_path / "run"
    assert main(["supervised", "--network", spec, *SETTINGS.split(), "--out", str(run)]) == 0, capsys.readouterr().err
    shutil.rmtree(tmp_path / "model")
    assert main(["export", str(run), "--to", "safetensors", "--no-latency"]) == 0, capsys.readouterr().err
    assert ps.networks.create(f"{run}+DConv").spec == f"{spec}+DConv"


REFUSED = {
    '{"model_type": "bert"}': "is a bert model, which takes no images",
    '{"model_type": "nothing"}': "nothing",
    '{"architecture": "resnet18"}': "it is one of timm: say timm:hf-hub:ORG/NAME",
    "[3]": "its config.json names no model_type of transformers",
    "{": "is no JSON",
    '{"model_type": "vit", "hidden_size": 7}': "failed: ",
    '{"model_type": "x", "auto_map": {"AutoConfig": "evil.Config"}}': "contains custom code which must be executed",
}


@pytest.mark.parametrize("content", REFUSED)
def test_what_is_no_model_of_images(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(BadInput, match=REFUSED[content]) as error:
        ps.networks.create(f"hf:{tmp_path}")
    assert "\n" not in str(error.value)
    assert "it ran" not in str(error.value)


@pytest.mark.parametrize("spec", ["hf:", "hf:vit", "hf:a/b/c", "hf:/nowhere", "hf:a b/c"])
def test_the_form_of_a_name(spec):
    with pytest.raises(BadInput, match="the form is hf:ORG/NAME, or hf:FOLDER with a config.json"):
        ps.networks.create(spec)


@pytest.mark.parametrize("spec", ["hf:who/what", "timm:hf-hub:who/what"])
def test_where_nobody_answers_it_is_one_line_at_once(spec, monkeypatch, tmp_path):
    """A server that takes calls and never says a word: worse than no network, which is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(hub, "_answers", {})
        begun = time.monotonic()
        with pytest.raises(BadInput, match="who/what is neither in the cache of .* it needs a connection$") as error:
            ps.networks.create(spec)
    assert time.monotonic() - begun < 5
    assert "\n" not in str(error.value)
    assert not constants.HF_HUB_OFFLINE


def test_a_folder_that_is_called_as_a_library_is_none(vit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hf").mkdir()
    assert ps.networks.create(f"hf:{vit}").spec == f"hf:{vit}"


def test_weights_that_are_not_whole(vit, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(vit, tmp_path / "model")
    state = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in state.items() if "layer.1" not in name and "layers.1" not in name},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(BadInput, match=r"the weights of .* lack \d+ tensors, such as vit"):
        create_trained(f"hf:{folder}", data_of(8))
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="has no trained weights; give --teacher-weights FILE"):
        create_trained(f"hf:{folder}", data_of(8))
