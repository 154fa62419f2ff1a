"""What `potstill verify` looks at in a folder, and under which file it says what it finds."""

import json

import pytest
from sealing import seal

from potstill.errors import BadInput
from potstill.runs.audit import audit, find_folders


def nothing(_):
    pass


def test_every_file_of_weights_and_every_checkpoint_is_opened(own_run):
    weights, checkpoints = [], []
    found = audit(own_run, lambda file: weights.append(file.name), lambda file: checkpoints.append(file.name))
    assert found.problems == {}
    assert sorted(weights) == ["student-best.safetensors", "student.safetensors"]
    assert sorted(checkpoints) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json", "insight.json", "details.json"])
def test_a_text_that_says_nothing_is_blamed_by_its_name(own_run, name):
    (own_run / name).write_text("[]")
    assert list(audit(seal(own_run), nothing, nothing).problems) == [name]


def test_weights_that_a_finished_run_lacks_are_named(own_run):
    (own_run / "student.safetensors").unlink()
    assert audit(seal(own_run), nothing, nothing).problems == {"student.safetensors": "student.safetensors is missing"}


def test_a_summary_of_another_headline(own_run):
    summary = json.loads((own_run / "summary.json").read_text())
    summary["learners"]["student"]["last"]["test"] = {"loss": 1.0, "top1": 10.0}
    (own_run / "summary.json").write_text(json.dumps(summary))
    (problem,) = audit(seal(own_run), nothing, nothing).problems.values()
    assert problem == "metrics.jsonl of student is headed by top1, but summary.json by loss"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match=rf"^no folder '{tmp_path}/gone'$"):
        find_folders([tmp_path / "gone"])


def test_a_link_that_leads_nowhere_is_called_that(own_run):
    (own_run / "summary.json").unlink()
    (own_run / "summary.json").symlink_to(own_run / "gone")
    words = audit(own_run, nothing, nothing).problems["summary.json"]
    assert words == "summary.json is not a file: a link that leads nowhere is in its place"
