"""What computes a frozen teacher: the same tensors as torch up to its own rounding, and a run of bits of its own."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from drawn import by_hand, drawn
from ranks import several
from torch import nn

import potstill as ps
from potstill.answers.carrying import described
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.losses import CE, KD
from potstill.memory_layout import lay_out
from potstill.side_by_side.__main__ import run as side_by_side
from potstill.teacher_engines.checking import Off, off
from potstill.teacher_engines.engine_pass import EnginePass
from potstill.teacher_engines.engines import ENGINES
from potstill.teacher_engines.trial import Trial
from potstill.training import Training

SHORT = Training(data="digits", epochs=2, batch_size=32, lr=0.05, images=80, test_images=40, teacher_cache="off")
SIZES = [32, 16]  # a usual batch, and the last one
CPU = torch.device("cpu")


class Small(nn.Module):
    """A teacher that is quick to trace, with statistics as after a training."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu, self.second, self.last = nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, stride=2), nn.Linear(16, 10)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, images):
        maps = self.second(self.relu(self.norm(self.first(images))))
        return {"logits": 5 * self.last(maps.mean((2, 3))), "maps": maps, "tokens": maps.flatten(2).transpose(1, 2)}


class Branching(Small):
    def forward(self, images):
        return super().forward(images if images.sum() > 0 else -images)


class Dropping(Small):
    def forward(self, images):
        return F.dropout(super().forward(images)["logits"], 0.5)


class Comparing(Small):
    def forward(self, images):
        logits = super().forward(images)["logits"]
        return logits - logits.mean(0)


def near(one, other):
    """A loss of whatever shapes."""
    return (one.mean() - other.mean()).square()


def build(teacher=None, more=(), training=SHORT):
    data = training.load_data()
    networks = {"student": ps.networks.create("resnet8", 10, seed=0), "teacher": ps.freeze(teacher or Small())}
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    terms += [ps.Term(near, "student", text, name=text) for text in more]
    return ps.Distiller(networks, terms, data.example()), data


def run(out, teacher=None, after_step=None, more=("teacher#maps",), **settings):
    """Train, and a digest of the student's weights."""
    training = replace(SHORT, out=out, **settings)
    distiller, data = build(teacher, more, training)
    ps.fit(distiller, data, training, after_step=after_step)
    assert not distiller.answered
    return fingerprint(distiller.networks["student"])


def on_trial(distiller, data, differentiated=False):
    frozen = [one for one in distiller.passes.in_order if one.network == "teacher"]
    lay_out(distiller, data.example())
    return Trial(frozen, data.example()["images"], SIZES, "fp32", differentiated)


def recorded(out):
    return json.loads((out / "config.json").read_text())


def stopping(after):
    left = iter(range(after))

    def stop(distiller):
        if next(left, None) is None:
            raise KeyboardInterrupt

    return stop


EVERYWHERE = ["last:in", "relu:in", "relu:in:map", "first:in", "first.weight"]


def exactly(images):
    """What is tapped, in float64, by no tap."""
    net, x = ps.freeze(Small()).double(), images.double()
    before = net.norm(net.first(x))
    maps = net.second(before.relu())
    row = maps.mean((2, 3))
    return {
        **{"teacher": 5 * net.last(row), "teacher#maps": maps, "teacher#tokens": maps.flatten(2).transpose(1, 2)},
        **{"teacher.last:in": row, "teacher.relu:in": before, "teacher.relu:in:map": before, "teacher.first:in": x},
    }


def error(found, true):
    return float((found.double() - true).norm() / true.norm())


@pytest.mark.parametrize("name", ["onnxruntime", "compile"])
@torch.no_grad()
def test_an_engine_gives_what_torch_gives(name):
    """Every tensor: in its dtype and layout, no further from float64 than a few times torch's own rounding."""
    distiller, data = build(more=["teacher#maps", "teacher#tokens", *(f"teacher.{place}" for place in EVERYWHERE)])
    candidate = on_trial(distiller, data).candidate(name, CPU)
    assert not candidate.left
    served, taps = candidate.passes["teacher"], distiller.passes.in_order[0].taps
    for size in SIZES:
        images = data.example()["images"][:size]
        expected, found, exact = taps(images), served({"images": images}), exactly(images)
        assert list(found) == list(expected)
        assert exact.keys() == expected.keys()
        for text, value in expected.items():
            assert (found[text].dtype, found[text].stride()) == (value.dtype, value.stride()), text
            assert error(found[text], exact[text]) <= 4 * max(error(value, exact[text]), 2**-23), text
    assert not served.said


@pytest.mark.parametrize("name", ["onnxruntime", pytest.param("compile", marks=by_hand)])
def test_a_stopped_run_goes_on_to_the_same_bits(name, tmp_path):
    whole = run(tmp_path / "whole", teacher_engine=name)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", after_step=stopping(4), teacher_engine=name)
    assert not (tmp_path / "stopped" / "summary.json").exists()
    torch._dynamo.reset()  # as a process that has compiled nothing yet
    assert run(tmp_path / "stopped", teacher_engine=name) == whole
    assert recorded(tmp_path / "whole")["arguments"]["teacher_engine"] == name
    assert "teacher_engine" not in recorded(tmp_path / "whole")


def test_the_run_is_answered_by_the_engine_in_every_step(tmp_path, monkeypatch, capsys):
    asked = []
    answer = EnginePass.__call__
    monkeypatch.setattr(
        EnginePass, "__call__", lambda self, batch: asked.append(len(batch["images"])) or answer(self, batch)
    )
    run(tmp_path / "run", teacher_engine="onnxruntime")
    assert asked == [32, 32, 16] * 2
    assert "potstill: teacher is answered by onnxruntime: KL " in capsys.readouterr().err


def made_by(monkeypatch, change):
    """Have the engine onnxruntime be torch with a change of its answers."""

    def make(program, names):
        module = program.module()
        return lambda images: change(module, images)

    monkeypatch.setitem(ENGINES, "onnxruntime", ENGINES["onnxruntime"]._replace(make=make))


def half(module, images):
    return [value.bfloat16().float() for value in module(images)]


def one_logit(module, images):
    logits, *rest = module(images)
    return [logits + 1e-3 * F.one_hot(torch.tensor(3), 10), *rest]


def one_feature(module, images):
    logits, maps = module(images)
    return [logits, maps * (1 + 1e-5)]


def other_dtype(module, images):
    return [value.double() for value in module(images)]


@pytest.mark.parametrize("change", drawn([half, one_logit, one_feature, other_dtype], 2))
def test_an_engine_that_is_off_is_refused(change, tmp_path, monkeypatch, capsys):
    made_by(monkeypatch, change)
    words = (
        "--teacher-engine onnxruntime does not answer 32 images as teacher does: KL .*, top-1 the same for .*, tensors"
    )
    with pytest.raises(BadInput, match=words):
        run(tmp_path / "named", teacher_engine="onnxruntime")
    monkeypatch.delitem(ENGINES, "compile")
    without = run(tmp_path / "torch")
    assert run(tmp_path / "auto", teacher_engine="auto") == without
    assert recorded(tmp_path / "auto")["teacher_engine"] == "torch"
    assert "--teacher-engine auto is torch; not onnxruntime: does not answer 32 images" in capsys.readouterr().err


@torch.no_grad()
def test_an_engine_that_is_exact_passes(monkeypatch):
    """Float64, rounded once: nothing in float32 is better."""
    made_by(monkeypatch, lambda _, images: [exactly(images)[text].float() for text in ("teacher", "teacher#maps")])
    candidate = on_trial(*build(more=["teacher#maps"])).candidate("onnxruntime", CPU)
    assert list(candidate.passes) == ["teacher"]


def test_figures_are_those_of_their_definitions():
    torch.manual_seed(0)
    true = {"teacher": torch.randn(50, 10), "maps": torch.randn(50, 4, 3, 3)}
    found = {text: value + 0.3 * torch.randn_like(value) for text, value in true.items()}
    figures, (real, other) = off(true, found, "teacher"), (true["teacher"].double(), found["teacher"].double())
    kl = F.kl_div(other.log_softmax(1), real.softmax(1), reduction="batchmean")
    assert figures.kl == pytest.approx(float(kl), rel=1e-12)
    same = real.argmax(1) == other.argmax(1)
    assert figures.top1 == pytest.approx(100 * float(same.double().mean()))
    assert 0 < same.sum() < 50
    leads = [float(row.max() - row[choice]) for row, choice in zip(real, other.argmax(1), strict=True)]
    assert figures.lead == max(leads) > 0
    assert figures.errors["maps"] == pytest.approx(error(found["maps"], true["maps"].double()))
    assert figures.kl <= figures.logit**2 / 2  # what `allows` says of KL


OWN = Off({"teacher": 1e-6, "maps": 1e-5}, kl=1e-12, logit=1e-5, floor=1e-6, unit=1e-7)
SAME = Off({"teacher": 3e-6, "maps": 3e-5}, kl=9e-12, logit=3e-5, lead=6e-5, floor=1e-6, unit=1e-7)


@pytest.mark.parametrize(
    "change",
    [
        {"errors": {"teacher": 3e-6, "maps": 5e-5}},
        {"errors": {"teacher": 5e-6, "maps": 3e-5}},
        {"kl": 3e-11},
        {"lead": 1e-4},
    ],
    ids=str,
)
def test_each_figure_counts(change):
    """Three times torch's own rounding is near, five times is not; of KL, the squares of these."""
    assert OWN.allows(SAME)
    assert not OWN.allows(replace(SAME, **change))


def timed(monkeypatch, seconds):
    monkeypatch.setattr(Trial, "timed", lambda *_: seconds)


@pytest.mark.parametrize("chosen", [pytest.param("torch", marks=by_hand), "onnxruntime"])
def test_auto_is_the_fastest_and_a_run_that_goes_on_keeps_it(chosen, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(ENGINES, "compile")
    asked = run(tmp_path / "asked", teacher_engine=chosen)
    times = {"torch": 0.02, "onnxruntime": 0.01 if chosen == "onnxruntime" else 0.03}
    timed(monkeypatch, times)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "auto", after_step=stopping(2), teacher_engine="auto")
    said = f"--teacher-engine auto is {chosen}; 32 images take 20 ms by torch, {1000 * times['onnxruntime']:g} ms by "
    assert said in capsys.readouterr().err
    assert recorded(tmp_path / "auto")["teacher_engine"] == chosen
    timed(monkeypatch, {"torch": times["onnxruntime"], "onnxruntime": times["torch"]})
    assert run(tmp_path / "auto", teacher_engine="auto") == asked
    assert "auto is" not in capsys.readouterr().err
    assert recorded(tmp_path / "auto")["teacher_engine"] == chosen
    assert recorded(tmp_path / "auto")["arguments"]["teacher_engine"] == "auto"


@torch.no_grad()
def test_timing_takes_turns_and_gives_medians(monkeypatch):
    def slow(module, images):
        time.sleep(0.05)
        return module(images)

    made_by(monkeypatch, slow)
    experiment = on_trial(*build())
    seconds = experiment.timed({"onnxruntime": experiment.candidate("onnxruntime", CPU)})
    assert list(seconds) == ["torch", "onnxruntime"]
    assert seconds["torch"] < 0.05 <= seconds["onnxruntime"]


REASONS = {
    Branching: "it has no graph that holds for all images: .*data-dependent.*test_teacher_engine.py, line",
    Dropping: "it gives something else each time for the same images$",
    Comparing: "what it gives for an image depends on the rest of the batch$",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("teacher", REASONS)
def test_torch_answers_what_an_engine_cannot(teacher):
    candidate = on_trial(*build(teacher())).candidate("onnxruntime", CPU)
    assert not candidate.passes
    assert re.search(REASONS[teacher], candidate.left["teacher"])


def test_torch_answers_passes_on_other_inputs_and_what_is_differentiated():
    distiller, data = build(more=["teacher@student_view", "teacher@images"][1:])
    assert on_trial(distiller, data, differentiated=True).candidate("onnxruntime", CPU).left == {
        "teacher": "a loss differentiates by the images"
    }
    batch = {**data.example(), "strong": data.example()["images"]}
    networks = {"student": distiller.networks["student"], "teacher": distiller.networks["teacher"]}
    other = ps.Distiller(networks, [ps.Term(near, "student", "teacher@strong")], batch)
    found = on_trial(other, data).candidate("onnxruntime", CPU)
    assert found.left == {"teacher@strong": "it sees strong, not the images alone"}


def test_what_torch_answers_is_said_and_has_torchs_bits(tmp_path, capsys):
    without = run(tmp_path / "torch", Comparing(), more=())
    assert run(tmp_path / "named", Comparing(), more=(), teacher_engine="onnxruntime") == without
    line = "potstill: teacher is answered by torch: what it gives for an image depends on the rest of the batch\n"
    assert capsys.readouterr().err.count(line) == 1


def test_without_a_teacher_there_is_nothing_to_answer(tmp_path, capsys):
    ps.recipes.supervised(network="resnet8", training=replace(SHORT, epochs=1, out=tmp_path, teacher_engine="compile"))
    assert "--teacher-engine compile: there is no frozen teacher to answer for" in capsys.readouterr().err


def test_onnxruntime_has_to_be_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("potstill.export.onnx_file.find_spec", lambda name: None if name == "onnxruntime" else name)
    message = "^onnxruntime is not installed; .*pip install potstill\\[export\\], or use --teacher-engine torch$"
    with pytest.raises(BadInput, match=message):
        run(tmp_path / "named", teacher_engine="onnxruntime")
    monkeypatch.delitem(ENGINES, "compile")
    run(tmp_path / "auto", teacher_engine="auto")
    assert "--teacher-engine auto is torch; not onnxruntime: onnxruntime is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(("device", "precision", "why"), [("cuda", "fp32", "on cuda"), ("cpu", "bf16", "in bf16")])
def test_onnxruntime_is_for_float32_on_a_cpu(device, precision, why):
    with pytest.raises(BadInput, match=f"--teacher-engine onnxruntime computes .* this run is {why}: take compile"):
        ENGINES["onnxruntime"].ready(torch.device(device), precision)


def test_an_unknown_engine_is_a_slip(capsys):
    assert main(["distill", "--student", "resnet8", "--teacher", "x", "--teacher-engine", "onxruntime"]) == 2
    assert "did you mean onnxruntime" in capsys.readouterr().err


def test_another_engine_is_another_run(tmp_path):
    run(tmp_path / "run")
    with pytest.raises(BadInput, match="--teacher-engine was 'torch' there and is 'onnxruntime' now"):
        run(tmp_path / "run", teacher_engine="onnxruntime")


def test_weights_that_change_are_torchs(tmp_path, capsys):
    def follow(distiller):
        with torch.no_grad():
            distiller.networks["teacher"].last.weight.mul_(0.9)

    followed = run(tmp_path / "run", after_step=follow, teacher_engine="onnxruntime", epochs=1)
    assert capsys.readouterr().err.count("for a teacher whose weights have changed since it was checked") == 1
    assert followed != run(tmp_path / "still", teacher_engine="onnxruntime", epochs=1)


@torch.no_grad()
def test_batches_that_were_not_checked_are_torchs(monkeypatch, capsys):
    monkeypatch.setitem(ENGINES, "onnxruntime", ENGINES["onnxruntime"]._replace(fixed=True))
    distiller, data = build()
    served = on_trial(distiller, data).candidate("onnxruntime", CPU).passes["teacher"]
    images, taps = data.example()["images"], distiller.passes.in_order[0].taps
    for given in (images[:7], images.contiguous(), images[:, :, :6]):
        expected = taps(given)
        for _ in range(2):
            assert torch.equal(served({"images": given})["teacher"], expected["teacher"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) == 3
    assert "teacher is answered by torch, not by onnxruntime" in lines[0]


def test_kept_answers_are_of_the_engine(tmp_path):
    without = run(tmp_path / "without", teacher_engine="onnxruntime", more=())
    cache = {"teacher_cache": str(tmp_path / "answers"), "views": 2, "more": ()}
    run(tmp_path / "torch", **cache)
    assert run(tmp_path / "cold", teacher_engine="onnxruntime", **{**cache, "views": None}) == without
    found = [described(path)[0] for path in (tmp_path / "answers").glob("*.answers")]
    assert sorted(key.get("engine", "torch").split()[0] for key in found) == ["onnxruntime", "torch"]


@by_hand
def test_runs_side_by_side_have_their_own_engines(tmp_path):
    teacher = Training("digits", images=80, test_images=40, batch_size=32, epochs=1, device="cpu", out=tmp_path / "t")
    ps.recipes.supervised(network="resnet8", training=teacher)
    words = "--data digits --images 80 --test-images 40 --batch-size 32 --epochs 1 --device cpu --teacher-cache off"
    given = ["distill", "--student", "resnet8", "--teacher", str(tmp_path / "t"), *words.split()]
    given += ["--teacher-engine", "onnxruntime"]
    rows = {"kd": [*given, "--terms", "CE", "KD"], "at": [*given, "--terms", "CE", "100 * AT on stages"]}
    parts = [
        {"words": [*row, "--out", str(tmp_path / name)], "log": str(tmp_path / f"{name}.log")}
        for name, row in rows.items()
    ]
    assert side_by_side(parts) == [0, 0]
    for name, row in rows.items():
        assert main([*row, "--out", str(tmp_path / f"{name}-alone")]) == 0
        both = [(tmp_path / folder / "student.safetensors").read_bytes() for folder in (name, f"{name}-alone")]
        assert both[0] == both[1]
        assert (
            "what teacher answers is not shared with the runs beside this one" in (tmp_path / f"{name}.log").read_text()
        )


RANK = """
import os
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1], str(Path(sys.argv[1]).parent)
import test_teacher_engine as here
from potstill.teacher_engines.checking import Off, off
from potstill.teacher_engines.engine_pass import EnginePass
del here.ENGINES["compile"]
rank = int(os.environ["RANK"])
here.Trial.timed = lambda *_: {"torch": 2.0, "onnxruntime": 1.0 + 2 * rank}
asked, answer = [], EnginePass.__call__
EnginePass.__call__ = lambda self, batch: asked.append(len(batch["images"])) or answer(self, batch)
here.run(Path(sys.argv[2]), teacher_engine="auto", epochs=1)
print(asked)
"""


@by_hand
def test_ranks_have_the_engine_of_the_first_one(tmp_path):
    found = several.run(2, ["-c", RANK, str(Path(__file__).parent), str(tmp_path / "run")])
    assert [(code, out) for code, out, _ in found] == [(0, "[16, 16, 8]\n")] * 2, found
    assert "--teacher-engine auto is onnxruntime; 16 images take" in found[0][2]
    assert recorded(tmp_path / "run")["teacher_engine"] == "onnxruntime"
