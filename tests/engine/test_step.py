"""A step never waits for the device, and can be replayed without its Python."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tape import TapeCapturer
from torch import nn

import potstill as ps
from potstill import losses
from potstill.engine import cuda_graph
from potstill.engine.cuda_graph import ORDINARY, StepGraphs, step_graphs
from potstill.engine.epoch import train_step
from potstill.engine.optimizer import make_optimizer
from potstill.engine.train import _waiting
from potstill.engine.waits import Waits
from potstill.errors import BadInput
from potstill.training import Training

SHORT = Training(data="digits", epochs=3, batch_size=40, images=220, test_images=100, lr=0.05, optimizer="sgd")
WAIT = {
    "KDSVD": ["_linalg_eigh"],  # no eigenvalues are found without looking how far one is
}
"""The losses for which the host waits, and why."""


def batch_of(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
    index = torch.arange(size) + 10 * seed
    return {"images": images, "labels": index % 10, "index": index, "view": index * 0, "size": torch.tensor(200)}


def step_of(name, student="wrn-10-1", training=SHORT, **more):
    networks = {"student": ps.networks.create(student), "teacher": ps.freeze(ps.networks.create("wrn-16-1"))}
    term = f"0.1 * {name}(negatives=16)" if name == "CRD" else f"0.1 * {name}"
    distiller = ps.Distiller(networks, ps.terms(["CE", term], networks, batch_of(8)), batch_of(8), **more)
    distiller.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(distiller, training)

    def step(batch, precision="fp32"):
        return train_step(distiller, batch, optimizer, optimizer.step, precision)

    return step, distiller, optimizer


FURTHER = ("DLB", "HSAKD", "ONE", "SSKD")
"""Losses of further images or branches, which recipes give them."""


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name not in FURTHER])
def test_no_step_waits_for_the_device(name):
    step, *_ = step_of(name)
    step(batch_of(8))
    batch = batch_of(8, seed=1)
    with Waits() as waits:
        step(batch)
    assert waits.found == WAIT.get(name, [])


@pytest.mark.parametrize("settings", [{"optimizer": "adamw"}, {"optimizer": "nesterov"}, {"momentum": 0}], ids=str)
def test_nor_does_that_of_an_optimiser(settings):
    step, *_ = step_of("KD", training=replace(SHORT, **settings))
    step(batch_of(8))
    batch = batch_of(8, seed=1)
    with Waits() as waits:
        step(batch, "bf16")
    assert waits.found == []


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: x[x > 0], "index by a mask"),
        (lambda x: x.clone().__setitem__(x > 0, x[:2]), "index_put_ by a mask"),
        (lambda x: x.unique(), "_unique2"),
        (lambda x: torch.tensor([1.0, 2.0]), "lift_fresh"),
        (lambda x: x.to("meta"), "a copy from cpu to meta"),
        (lambda x: x.long().repeat_interleave(torch.ones(2).long()), "repeat_interleave"),
    ],
)
def test_waiting_is_found(work, reason):
    x = torch.tensor([2.0, 3.0])
    with Waits() as waits:
        work(x)
    assert reason in waits.found


def test_waiting_is_found_in_a_backward_pass():
    total = torch.ones(2, requires_grad=True).sum()
    total.register_hook(lambda gradient: gradient * gradient.item())
    with Waits() as waits:
        total.backward()
    assert waits.found == ["_local_scalar_dense"]


def taken(name, graphs, steps, **more):
    """The state after some steps, of which the third one is smaller; whether a graph takes them or not."""
    torch.manual_seed(3)
    step, distiller, optimizer = step_of(name, **more)
    if graphs is not None:
        graphs.begin(distiller, optimizer)
    values = []
    for number in range(steps):
        batch = batch_of(5 if number == 2 else 8, seed=number)
        found = step(batch) if graphs is None else graphs.take(step, batch)
        values += [value.clone() for value in found.values()]
    return [*values, *distiller.state_dict().values()]


@pytest.mark.parametrize("name", ["KD", "CRD", "AT", "VID", "LwM"])
def test_replayed_steps_are_the_steps(name):
    capturer = TapeCapturer()
    replayed = taken(name, StepGraphs(capturer, must=True), ORDINARY + 5)
    assert capturer.captured == 1
    for one, other in zip(replayed, taken(name, None, ORDINARY + 5), strict=True):
        assert torch.equal(one, other)


def test_turns_and_adamw_are_replayed_too():
    settings = {"training": replace(SHORT, optimizer="adamw"), "alternate": True}
    replayed = taken("KD", StepGraphs(TapeCapturer(), must=True), 8, **settings)
    assert all(torch.equal(*pair) for pair in zip(replayed, taken("KD", None, 8, **settings), strict=True))


@pytest.mark.parametrize("forgotten", ["_fused_sgd_", "convolution_backward", "native_batch_norm.", "randint"])
def test_a_replay_that_does_something_else_is_refused(forgotten, capsys):
    graphs = StepGraphs(TapeCapturer(forgets=forgotten), must=False)
    found = taken("CRD", graphs, ORDINARY + 4)
    assert graphs.refused
    assert capsys.readouterr().err.count("steps are no CUDA graph: its replay is off by") == 1
    assert all(torch.equal(*pair) for pair in zip(found, taken("CRD", None, ORDINARY + 4), strict=True))


def test_what_waits_is_taken_as_usual_and_said_once(capsys):
    graphs = StepGraphs(TapeCapturer(), must=False)
    found = taken("KDSVD", graphs, ORDINARY + 4)
    assert graphs.capturer.captured == 0
    assert (
        capsys.readouterr().err == "potstill: steps are no CUDA graph: the host waits for the device in _linalg_eigh\n"
    )
    assert all(torch.equal(*pair) for pair in zip(found, taken("KDSVD", None, ORDINARY + 4), strict=True))
    with pytest.raises(BadInput, match="--graph on: .*_linalg_eigh"):
        taken("KDSVD", StepGraphs(TapeCapturer(), must=True), ORDINARY + 1)


def test_a_capture_that_fails_leaves_no_trace(capsys):
    class Fails(TapeCapturer):
        def capture(self, work):
            work()
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    found = taken("CRD", StepGraphs(Fails(), must=False), ORDINARY + 3)
    assert capsys.readouterr().err == (
        "potstill: steps are no CUDA graph: operation not permitted when stream is capturing\n"
    )
    assert all(torch.equal(*pair) for pair in zip(found, taken("CRD", None, ORDINARY + 3), strict=True))


def test_graphs_are_captured_anew_when_something_is_another():
    capturer = TapeCapturer()
    graphs = StepGraphs(capturer, must=True)
    step, distiller, optimizer = step_of("KD")
    captured = []
    for frozen in (False, False, True):
        next(distiller.networks["student"].parameters()).requires_grad_(not frozen)
        graphs.begin(distiller, optimizer)
        for number in range(ORDINARY + 2):
            graphs.take(step, batch_of(8, seed=number))
        captured.append(capturer.captured)
    distiller.active, distiller.turns = [0], [[0]]  # as when the other's weight is 0 in an epoch
    for number in range(ORDINARY + 2):
        assert list(graphs.take(step, batch_of(8, seed=number))) == ["CE student"]
    assert [*captured, capturer.captured] == [1, 1, 2, 3]
    other = ps.Distiller(dict(distiller.networks.items()), list(distiller.terms), batch_of(8))
    graphs.begin(other, optimizer)
    assert not graphs.graphs


def test_a_whole_run_is_the_same(tmp_path, monkeypatch):
    def run(out):
        data = replace(SHORT, out=out).load_data()
        networks = {"student": nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.Dropout(), nn.Linear(20, 10))}
        terms = [ps.Term(F.cross_entropy, "student", "labels", weight=lambda epoch: 1 + epoch)]
        distiller = ps.Distiller(networks, terms, data.example())
        torch.manual_seed(0)
        for parameter in distiller.parameters():
            nn.init.normal_(parameter, std=0.1)
        summary = ps.fit(distiller, data, replace(SHORT, out=out), after_step=lambda distiller: None)
        return summary["learners"], distiller.state_dict()

    expected, weights = run(tmp_path / "usual")
    capturer = TapeCapturer()
    monkeypatch.setattr("potstill.engine.train.step_graphs", lambda *_: StepGraphs(capturer, must=True))
    found, replayed = run(tmp_path / "replayed")
    assert capturer.captured == 1
    assert found == expected
    assert all(torch.equal(weights[key], replayed[key]) for key in weights)


def test_graphs_need_a_gpu():
    assert step_graphs(SHORT, torch.device("cpu")) is None
    with pytest.raises(BadInput, match="--graph on: .*this run is on cpu"):
        step_graphs(replace(SHORT, graph="on"), torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("compile", [False, True])
def test_a_run_on_a_gpu_is_the_same_with_graphs(precision, compile, tmp_path):
    found = []
    for graph in ("off", "on"):
        training = replace(
            SHORT, device="cuda", precision=precision, compile=compile, graph=graph, out=tmp_path / graph, epochs=4
        )
        data = training.load_data()
        networks = {name: ps.networks.create("wrn-10-1", seed=seed) for seed, name in enumerate(("student", "teacher"))}
        ps.freeze(networks["teacher"])
        terms = ps.terms(["CE", "KD", "0.1 * CRD(negatives=16)"], networks, data.example())
        distiller = ps.Distiller(networks, terms, data.example())
        found.append(ps.fit(distiller, data, training)["learners"])
    assert found[0] == found[1]


def test_there_are_only_so_many_graphs(monkeypatch):
    monkeypatch.setattr(cuda_graph, "MOST", 1)
    graphs = StepGraphs(capturer := TapeCapturer(), must=True)
    step, distiller, optimizer = step_of("KD")
    graphs.begin(distiller, optimizer)
    for number in range(2 * (ORDINARY + 2)):
        graphs.take(step, batch_of(8 - number % 2))
    assert capturer.captured == 1


def test_graphs_are_taken_where_they_are_asked_for_and_nothing_waits(monkeypatch, capsys):
    gpu, made = torch.device("cuda"), []
    assert step_graphs(replace(SHORT, graph="off"), gpu) is None
    assert step_graphs(replace(SHORT, graph="auto"), gpu, "several processes") is None
    assert capsys.readouterr().err == "potstill: steps are no CUDA graph: they wait for several processes\n"
    monkeypatch.setattr(cuda_graph, "CudaCapturer", made.append)  # the real one needs a GPU
    assert [step_graphs(replace(SHORT, graph=how), gpu).must for how in ("auto", "on")] == [False, True]
    assert made == [gpu, gpu]


@pytest.mark.parametrize(("precision", "same"), [("fp32", True), ("bf16", False)])
def test_a_step_computes_in_the_precision_that_is_asked_for(precision, same):
    step, distiller, _ = step_of("KD")
    batch = batch_of(8, seed=1)
    alone = {name: float(value) for name, value in distiller(batch)[1].items()}
    assert ({name: float(value) for name, value in step(batch, precision).items()} == alone) == same


def test_what_fails_in_the_backward_pass_is_said_to_fail_there():
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.sum()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no gradient today")

    networks = {"student": ps.networks.create("resnet8")}
    distiller = ps.Distiller(networks, [ps.Term(Fails.apply, "student", name="fails")], batch_of(8))
    optimizer = make_optimizer(distiller, SHORT)
    with pytest.raises(BadInput, match="^the backward pass.*no gradient today"):
        train_step(distiller, batch_of(8), optimizer, optimizer.step, "fp32")


def test_what_steps_wait_for_is_named():
    _, distiller, _ = step_of("KD")
    assert _waiting(distiller, SHORT) is None
    assert _waiting(distiller, replace(SHORT, teacher_engine="compile")) == "--teacher-engine compile"
