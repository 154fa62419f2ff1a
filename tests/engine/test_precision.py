"""Which precision a run has, and that finding it out changes nothing."""

import json
from dataclasses import replace

import pytest
import torch

import potstill as ps
from potstill.engine import precision
from potstill.engine.precision import Compared, compare
from potstill.engine.snapshot import Snapshot
from potstill.losses import DLB
from potstill.training import Training

SHORT = Training(data="digits", epochs=2, batch_size=50, images=100, test_images=50, lr=0.05)
FAST, SLOW, FAR = Compared(0.5, 8, 0.001, 0.1), Compared(9.6, 8, 0.001, 0.1), Compared(0.5, 8, 0.03, 0.096)


def build(data, term="0.1 * CRD(negatives=16)"):
    networks = {"student": ps.networks.create("wrn-10-1", seed=0), "teacher": ps.networks.create("wrn-10-1", seed=1)}
    ps.freeze(networks["teacher"])
    return ps.Distiller(networks, ps.terms(["CE", term], networks, data.example()), data.example())


def run(out, **settings):
    training = replace(SHORT, out=out, **settings)
    data = training.load_data()
    distiller = build(data)
    ps.fit(distiller, data, training)
    return distiller


def finds(monkeypatch, found):
    monkeypatch.setattr(precision, "compare", lambda distiller, example: found)


def recorded(out):
    return json.loads((out / "config.json").read_text())


def test_measuring_leaves_no_trace():
    data = SHORT.load_data()
    distiller = build(data)
    distiller(data.example())[0].backward()
    distiller.zero_grad()
    before = Snapshot(distiller)
    found = compare(distiller, data.example())
    after = Snapshot(distiller)
    assert all(torch.equal(*pair) for pair in zip(before.values, after.values, strict=True))
    assert torch.equal(before.random["torch"], after.random["torch"])
    assert all(parameter.grad is None for parameter in distiller.parameters())
    assert found.times > 0
    assert 0 < found.loss < 0.02
    assert 0 < found.gradient < 0.4


def test_measuring_leaves_no_trace_in_a_loss_that_keeps_a_batch_of_any_size():
    batch = SHORT.load_data().example()
    batch = {**batch, "previous": batch["images"], "previous_labels": batch["labels"]}
    term = ps.Term(DLB(), ("student", "student@previous"), "labels", "previous_labels")
    distiller = ps.Distiller({"student": ps.networks.create("wrn-10-1", seed=0)}, [term], batch)
    assert compare(distiller, batch).images > precision.FEWEST
    assert term.loss.earlier.shape == (0, 0)


def test_numbers_that_are_none_are_far_off():
    data = SHORT.load_data()
    networks = {"student": ps.networks.create("wrn-10-1", seed=0)}
    nothing = ps.Term(lambda logits: logits.sum() * float("nan"), "student")
    distiller = ps.Distiller(networks, [nothing], data.example())
    assert not compare(distiller, data.example()).is_close


def test_fewer_images_are_the_first_rows_of_what_has_a_row_for_each():
    batch = {"images": torch.arange(8.0).reshape(4, 2), "labels": torch.arange(4), "size": torch.tensor(9)}
    few = precision._first({**batch, "means": torch.zeros(3)}, 2)
    assert {name: value.tolist() for name, value in few.items()} == {
        **{"images": [[0.0, 1.0], [2.0, 3.0]], "labels": [0, 1], "size": 9, "means": [0.0, 0.0, 0.0]},
    }
    assert len(precision._first({**batch, "labels": torch.arange(3)}, 2)["labels"]) == 2  # the last has none


def test_two_snapshots_are_as_far_apart_as_what_changed_between_them():
    data = SHORT.load_data()
    distiller = build(data, "KD")
    before = Snapshot(distiller)
    with torch.no_grad():
        distiller.networks["student"].fc.bias.add_(torch.tensor([3.0, 4.0] + 8 * [0.0]))
    after = Snapshot(distiller)
    assert before.distance() == before.distance(after) == pytest.approx(5.0)
    before.restore()
    assert before.distance() == 0
    assert before.distance(after) == pytest.approx(5.0)


@pytest.mark.parametrize(("found", "chosen"), [(FAST, "bf16"), (SLOW, "fp32"), (FAR, "fp32")], ids=str)
def test_auto_is_the_faster_one_if_it_is_close(found, chosen, tmp_path, monkeypatch, capsys):
    finds(monkeypatch, found)
    automatic = run(tmp_path / "auto", precision="auto")
    loss, gradient = ("3", "9.6") if found is FAR else ("0.1", "10")
    assert capsys.readouterr().err.splitlines()[0] == (
        f"potstill: --precision auto is {chosen}: a step of 8 images takes {found.times:.2f} times as long in bf16 as "
        f"in fp32; its loss is off by {loss} %, its gradient by {gradient} %, where at most 2 % and 40 % are close "
        "enough"
    )
    assert recorded(tmp_path / "auto")["precision"] == chosen
    assert recorded(tmp_path / "auto")["arguments"]["precision"] == "auto"
    asked = run(tmp_path / "asked", precision=chosen)
    pairs = zip(automatic.state_dict().values(), asked.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert "precision" not in recorded(tmp_path / "asked")


def test_a_run_that_goes_on_keeps_what_it_has(tmp_path, monkeypatch):
    def stop(distiller):
        raise KeyboardInterrupt

    training = replace(SHORT, out=tmp_path / "run", precision="auto")
    data = training.load_data()
    finds(monkeypatch, FAST)
    with pytest.raises(KeyboardInterrupt):
        ps.fit(build(data), data, training, after_step=stop)
    finds(monkeypatch, SLOW)
    ps.fit(distiller := build(data), data, training)
    assert recorded(training.out)["precision"] == "bf16"
    asked = run(tmp_path / "asked", precision="bf16")
    pairs = zip(distiller.state_dict().values(), asked.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(("found", "warned"), [(SLOW, True), (FAST, False)], ids=str)
def test_slow_bf16_says_so(found, warned, tmp_path, monkeypatch, capsys):
    finds(monkeypatch, found)
    run(tmp_path / "run", precision="bf16")
    said = "a step of 8 images takes 9.6 times as long as in float32; --precision fp32 is faster"
    assert (said in capsys.readouterr().err) == warned
