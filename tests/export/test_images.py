import json
from itertools import product
from pathlib import Path

import pytest
import torch
from PIL import Image

from potstill import data
from potstill.errors import BadInput
from potstill.export import choose_network, run_images


def with_config(run: Path, **changes) -> Path:
    config = json.loads((run / "config.json").read_text())
    config["arguments"] |= changes.pop("arguments", {})
    (run / "config.json").write_text(json.dumps(config | changes))
    return run


def test_they_are_the_first_test_images_as_the_run_saw_them(made_run, tmp_path):
    arguments = {"normalize": "imagenet", "milestones": [1, 2], "batch_size": 7, "device": "cuda", "teacher": "x"}
    run = with_config(made_run(tmp_path / "run", {"student": "resnet8"}), arguments=arguments)
    found = run_images(choose_network(str(run)))
    loaded = data.load("digits", normalize="imagenet")
    assert torch.equal(found.images, next(iter(loaded.test))["images"][:32])
    assert found.images.is_contiguous()
    assert (found.classes, found.mean, found.std) == (loaded.classes, loaded.mean, loaded.std)
    assert found.shape == (3, 8, 8)
    assert found.input.size == (8, 8)


def test_other_data_than_those_of_the_run_are_refused(made_run, tmp_path):
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    recorded = data.load("digits").described()
    assert run_images(choose_network(str(with_config(run, data=recorded))))
    for key, other in {"classes": [*recorded["classes"][:9], "ten"], "std": [1, 1, 1], "shape": [3, 9, 9]}.items():
        with pytest.raises(BadInput, match=f"have other {key} than when it was trained: --data-dir"):
            run_images(choose_network(str(with_config(run, data=recorded | {key: other}))))


def test_a_folder_of_images_that_has_moved(made_run, tmp_path):
    for split, name in product(("train", "val"), "0123456789"):
        (tmp_path / "moved" / split / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (100, 0, 0)).save(tmp_path / "moved" / split / name / "image.png")
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    with_config(run, arguments={"data": "images", "image_size": 8, "workers": 0})
    with pytest.raises(BadInput, match=r"images.*--data-dir"):
        run_images(choose_network(str(run)))
    found = run_images(choose_network(str(run)), tmp_path / "moved")
    assert (found.images.shape, found.classes) == ((10, 3, 8, 8), tuple("0123456789"))


def test_data_that_are_not_there(made_run, tmp_path):
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    with_config(run, arguments={"data": "cifar10", "data_dir": str(tmp_path / "elsewhere")})
    with pytest.raises(BadInput, match=r"elsewhere.*; export is checked on .*: --data-dir says where they lie$"):
        run_images(choose_network(str(run)))
    with pytest.raises(BadInput, match=r"nowhere"):
        run_images(choose_network(str(run)), tmp_path / "nowhere")
    config = json.loads((run / "config.json").read_text())
    del config["arguments"]["data"]
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match=r"config\.json does not say which data"):
        run_images(choose_network(str(run)))
