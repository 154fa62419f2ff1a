"""Networks that teach themselves, chains of them, and branches: each goes on where it was stopped, bit for bit."""

import json
from dataclasses import replace

import pytest
from recipes.going_on import same, state_of, stop_in_the_second_epoch

import potstill as ps
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.recipes import chain, distill, mutual, native_ensemble, supervised
from potstill.training import Training

SHORT = Training("digits", epochs=2, batch_size=60, lr=0.05, images=180, test_images=60, device="cpu", log=())
CSKD = ("CE", "KD(temperature=4) on student=student@pair")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    supervised(network="resnet8", training=replace(SHORT, epochs=1, seed=7, out=out))
    return str(out)


def of(recipe, **arguments):
    return lambda training, teacher: recipe(training=training, **{k: v or teacher for k, v in arguments.items()})


FLOWS = {
    "CS-KD": of(supervised, network="resnet8", terms=CSKD),
    "PS-KD": of(supervised, network="resnet8", terms=("PSKD",)),
    "DLB": of(supervised, network="resnet8", terms=("DLB",)),
    "BYOT": of(supervised, network="resnet8", terms=("BYOT",)),
    "ONE": of(native_ensemble, network="resnet8", branches=2),
    "KDCL": of(mutual, networks=("resnet8", "resnet8"), terms=("CE", "KDCL")),
    "chain": of(chain, networks=("resnet8", "resnet8"), teacher=None),
    "SSKD": of(distill, student="resnet8", teacher=None, terms=("SSKD",)),
    "DOT": lambda training, teacher: distill(
        student="resnet8", teacher=teacher, training=replace(training, optimizer="dot")
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_run_that_was_stopped_inside_an_epoch_goes_on_to_the_same_bits(name, tmp_path, teacher, monkeypatch):
    flow = FLOWS[name]
    flow(replace(SHORT, out=tmp_path / "whole"), teacher)
    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            flow(replace(SHORT, out=tmp_path / "stopped"), teacher)
    flow(replace(SHORT, out=tmp_path / "stopped"), teacher)
    assert same(state_of(tmp_path / "whole"), state_of(tmp_path / "stopped"))


def test_the_last_of_a_chain_learns_from_the_one_before(tmp_path, teacher):
    out = tmp_path / "run"
    summary = chain(networks=("resnet14", "resnet8"), teacher=teacher, training=replace(SHORT, epochs=1, out=out))
    config = json.loads((out / "config.json").read_text())
    link = ps.networks.create(str(out / "link1"))
    assert link.spec == "resnet14"
    assert config["teachers"] == {"weights of teacher": fingerprint(link)}
    link_config = json.loads((out / "link1" / "config.json").read_text())
    assert link_config["teachers"] == {"weights of teacher": fingerprint(ps.networks.create(teacher))}
    assert list(summary["learners"]) == ["student"]
    with pytest.raises(BadInput, match="needs a network or more"):
        chain(networks=(), training=SHORT)


def test_a_chain_of_one_is_distillation_bit_for_bit(tmp_path, teacher):
    chain(networks=("resnet8",), teacher=teacher, training=replace(SHORT, epochs=1, out=tmp_path / "chain"))
    distill(student="resnet8", teacher=teacher, training=replace(SHORT, epochs=1, out=tmp_path / "plain"))
    assert same(state_of(tmp_path / "chain"), state_of(tmp_path / "plain"))


def test_the_network_with_branches_is_a_plain_one(tmp_path):
    native_ensemble(network="resnet8", training=replace(SHORT, epochs=1, out=tmp_path / "run"))
    assert {file.stem for file in (tmp_path / "run").glob("*.safetensors")} >= {"student", "branch2", "branch3"}
    assert ps.networks.create(f"{tmp_path / 'run'}:student").spec == "resnet8"


def test_weights_are_kept_every_so_many_epochs(tmp_path):
    supervised(network="resnet8", training=replace(SHORT, epochs=5, keep=2, images=60, out=tmp_path / "run"))
    kept = sorted(file.name for file in (tmp_path / "run").glob("*epoch*"))
    assert kept == ["student-epoch1.safetensors", "student-epoch3.safetensors"]
    before, after = (ps.networks.create("resnet8", weights=tmp_path / "run" / name) for name in kept)
    assert fingerprint(before) != fingerprint(after) != fingerprint(ps.networks.create(str(tmp_path / "run")))


@pytest.mark.parametrize(
    ("settings", "terms", "message"),
    [
        ({"accumulate": 2}, ("DLB",), "carries a batch over .* --accumulate 2"),
        ({"mixup": 0.2}, CSKD, "--mixup would change a batch's images and not those of 'pair'"),
    ],
)
def test_what_does_not_go_together(settings, terms, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        supervised(network="resnet8", terms=terms, training=replace(SHORT, out=tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()
