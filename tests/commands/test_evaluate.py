import json
from dataclasses import replace

import pytest

import potstill as ps
from potstill.commands import evaluate
from potstill.errors import BadInput
from potstill.recipes import supervised
from potstill.training import Training

TRAINING = Training(data="digits", epochs=1, batch_size=200, lr=0.05, normalize="0.6 0.5 0.4 0.2 0.25 0.3")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was trained with a normalisation of its own."""
    out = tmp_path_factory.mktemp("run") / "run"
    supervised(network="resnet8", training=replace(TRAINING, out=out))
    return out


def test_a_run_is_shown_its_own_images_and_repeats_its_numbers(run, capsys):
    summary = json.loads((run / "summary.json").read_text())
    assert evaluate(network=str(run), data="digits", device="cpu") == summary["learners"]["student"]["last"]["test"]
    said = "potstill: network sees images normalised by mean 0.6 0.5 0.4, deviation 0.2 0.25 0.3\n"
    assert capsys.readouterr().err == said


def test_so_are_its_weights_in_a_network_that_is_named(run):
    asked = {"data": "digits", "device": "cpu"}
    assert evaluate(network="resnet8", weights=run, **asked) == evaluate(network=str(run), **asked)


def test_what_is_asked_for_goes_before(run, capsys):
    asked = evaluate(network=str(run), data="digits", normalize="digits", device="cpu")
    plain = ps.evaluate(ps.networks.create(str(run)), replace(TRAINING, normalize=None).load_data().test)
    own = ps.evaluate(ps.networks.create(str(run)), TRAINING.load_data().test)
    assert asked == plain != own
    assert capsys.readouterr().err == ""


def test_weights_file_alone_sees_the_data_as_it_is(run):
    file = run / "student.safetensors"
    asked = evaluate(network="resnet8", weights=file, data="digits", device="cpu")
    assert asked == evaluate(network=str(run), data="digits", normalize="digits", device="cpu")


def test_without_weights():
    with pytest.raises(
        BadInput, match=r"^network 'resnet8' has no trained weights; give --weights FILE, or a run folder$"
    ):
        evaluate(network="resnet8", data="digits", device="cpu")
