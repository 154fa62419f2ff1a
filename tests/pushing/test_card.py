"""Each fact on a card is the run's own: no two of this one are alike."""

import pytest
import yaml

from potstill.export.run_network import RunNetwork
from potstill.pushing.card import card
from potstill.pushing.forms import OfTimm
from potstill.pushing.published import Published
from potstill.runs.names import best_weights

CONFIG = {
    "recipe": "distill",
    "arguments": {"lr": 0.05, "seed": 3, "terms": ["0.5 * KD", "/home/me/own.py:Mine on stages"]},
    "networks": {"student": {"spec": "resnet8"}, "teacher": {"spec": "resnet14"}, "peer": {"spec": "resnet20"}},
    "data": {"name": "/home/me/pets", "images": {"train": 40, "test": 20}, "digest": "abc"},
    "versions": {"torch": "2.9"},
    "commit": "c0ffee",
    "device": "cpu",
}
SUMMARY = {
    "data": "/home/me/pets",
    "seconds": 1234.5,
    "best_chosen_on": "held-out",
    "teachers": {"teacher": {"parameters": 99, "macs": 98, "top1": 81.25}},
    "learners": {
        "student": {
            "parameters": 77_000,
            "macs": 5_500_000,
            "last": {"epoch": 9, "test": {"top1": 61.5, "loss": 0.5}},
            "best": {"epoch": 4, "test": {"top1": 72.5, "loss": 0.25}},
        }
    },
}
ROWS = [
    "| last epoch, test images | 61.50 % (epoch 9) |",
    "| best epoch, test images | 72.50 % (epoch 4) |",
    "| the best epoch was chosen on | the held-out images |",
    "| teacher | resnet14, 81.25 % |",
    "| data | pets: 40 train, 20 test images |",
    "| classes | cat, dog |",
    "| digest of the data | abc |",
    "| parameters | 77,000 |",
    "| multiply-adds an image | 5,500,000 |",
    "| lr | 0.05 |",
    "| seed | 3 |",
    "| terms | 0.5 * KD; own.py:Mine on stages |",
    "| trained in | 1,234 seconds on cpu |",
    "| versions | torch 2.9 |",
    "| commit of Potstill | c0ffee |",
]


@pytest.mark.parametrize(("file", "weights"), [("student.safetensors", "last epoch (9)"), ("best", "best epoch (4)")])
def test_what_the_run_says(tmp_path, file, weights):
    file = best_weights("student") if file == "best" else file
    chosen = RunNetwork(tmp_path, "student", "resnet8", 2, tmp_path / file, CONFIG)
    images = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "shape": (3, 20, 30), "size": (16, 24)}
    _, head, body = card(Published(chosen, SUMMARY, ("cat", "dog"), **images), OfTimm(), "me/net").split("---\n", 2)
    rows = [line for line in body.splitlines() if line.startswith("| ") and line != "| | |"]
    assert rows == [f"| weights | {weights} |", *ROWS]
    taught = "trained on pets, distilled from resnet14, beside resnet20, by Potstill's recipe distill."
    assert f"resnet8 for 2 classes, {taught}" in body
    told = "of values in 0..1, 16 pixels high and 24 wide, less the mean 0.1, 0.2, 0.3, divided by 0.4, 0.5, 0.6."
    assert " ".join(body.split()).endswith(f"Images have 3 channels {told}")
    entries = yaml.safe_load(head)
    assert (entries["library_name"], entries["pipeline_tag"]) == ("timm", "image-classification")
    (result,) = entries["model-index"][0]["results"]
    assert result["dataset"] == {"name": "pets", "type": "other"}
    assert {metric["name"]: metric["value"] for metric in result["metrics"]} == {
        "top-1, last epoch": 61.5,
        "top-1, best epoch": 72.5,
    }
