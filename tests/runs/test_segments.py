"""B4: where and by which versions each part of a run was trained, and runs of before there was an argument."""

import json

import pytest
from sealing import unseal

import potstill as ps
from potstill.errors import BadInput
from potstill.recipes import supervised
from potstill.runs.folder import RunFolder
from potstill.runs.recorded import read_run
from potstill.runs.segments import continued, segments_of

HERE = {"epoch": 0, "versions": {"potstill": "1", "torch": "2"}, "commit": "abc", "device": "cpu", "threads": 1}
CONFIG = {
    **{"format": 2, "recipe": "fit", "arguments": {"lr": 0.1}, "versions": {"torch": "2"}, "device": "cpu"},
    **{"networks": {"net": {"spec": "resnet8", "classes": 10}}, "segments": [HERE]},
}
EPOCH = {
    **{"epoch": 0, "lr": 0.1, "terms": {"CE": 1.0}, "weights": {"CE": 1.0}, "images_per_second": 1.0, "seconds": 1.0},
    "learners": {"net": {"test": {"top1": 50.0}}},
}
OTHERS = {
    "potstill was 1 and is 3": {"versions": {"potstill": "3", "torch": "2"}},
    "torch was 2 and is 3": {"versions": {"potstill": "1", "torch": "3"}},
    "commit was abc and is xyz": {"commit": "xyz"},
    "device was cpu and is H100": {"device": "H100"},
    "threads was 1 and is 8": {"threads": 8},
    "processes was 1 and is 2": {"processes": 2},
    "device was cpu and is H100; threads was 1 and is 8": {"device": "H100", "threads": 8},
}


@pytest.mark.parametrize("words", OTHERS)
def test_other_surroundings_are_a_segment_and_said(tmp_path, words, capsys):
    with RunFolder(tmp_path / "run", CONFIG) as run:
        run.start_logs([])
        run.log(EPOCH)
    now = {**HERE, **OTHERS[words]}
    for epochs in (1, 2):  # the second time nothing is new
        with RunFolder(tmp_path / "run", {**CONFIG, "segments": [now]}) as run:
            run.start_logs([{**EPOCH, "epoch": epoch} for epoch in range(epochs)])
    said = f"potstill: {tmp_path / 'run'} goes on from epoch 1 in other surroundings: {words}\n"
    assert capsys.readouterr().err == said
    assert read_run(tmp_path / "run").segments == [HERE, {**now, "epoch": 1}]


def test_the_same_surroundings_are_not(tmp_path, capsys):
    with RunFolder(tmp_path / "run", CONFIG) as run:
        run.start_logs([])
        run.log(EPOCH)
    with RunFolder(tmp_path / "run", {**CONFIG, "segments": [{**HERE, "date": "later"}]}) as run:
        run.start_logs([EPOCH])
    assert capsys.readouterr().err == ""
    assert read_run(tmp_path / "run").segments == [HERE]


def test_what_never_came_is_no_segment():
    second, third = {**HERE, "epoch": 3, "commit": "b"}, {**HERE, "commit": "c"}
    assert continued([HERE, second], third, 3)[0] == [HERE, {**third, "epoch": 3}]
    assert continued([HERE, second], third, 4)[0] == [HERE, second, {**third, "epoch": 4}]
    assert continued([HERE], third, 0)[0] == [third]


def test_an_old_run_has_one_segment(tmp_path):
    old = {key: value for key, value in CONFIG.items() if key != "segments"}
    assert segments_of(old) == [
        {"epoch": 0, "versions": {"torch": "2"}, "commit": None, "device": "cpu", "threads": None}
    ]


def test_a_real_run_says_where_it_was_trained(own_run):
    segment, *others = read_run(own_run).segments
    assert others == []
    assert {*segment["versions"]} == {"potstill", "torch", "python"}
    assert segment["epoch"] == 0
    assert segment["machine"]
    assert segment["date"]


def test_a_run_of_an_earlier_version_that_lacks_arguments_goes_on(tmp_path, capsys):
    out = tmp_path / "run"
    training = ps.Training("digits", images=40, test_images=10, epochs=1, out=out, device="cpu")
    first = supervised(network="resnet8", training=training)
    unseal(out)
    config = json.loads((out / "config.json").read_text())
    for key in ("border", "on_bad_image", "weights"):  # of the training, and of the recipe
        del config["arguments"][key]
    (out / "config.json").write_text(json.dumps(config))
    assert supervised(network="resnet8", training=training) == first
    said = capsys.readouterr().err
    assert f"{out} was made before there was " in said
    for words in ("border zero", "on_bad_image fatal"):
        assert words in said
    reflect = ps.Training("digits", images=40, test_images=10, epochs=1, out=out, device="cpu", border="reflect")
    with pytest.raises(BadInput, match=r"--border was 'zero' there and is 'reflect' now"):
        supervised(network="resnet8", training=reflect)


def test_a_run_of_an_earlier_version_has_one_segment():
    old = {key: value for key, value in CONFIG.items() if key != "segments"}
    assert segments_of({**old, "commit": "abc", "threads": 3}) == [
        {"epoch": 0, "versions": {"torch": "2"}, "commit": "abc", "device": "cpu", "threads": 3}
    ]
