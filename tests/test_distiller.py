import copy
import io
import pickle
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import AT, CE, KD, FitNet, Sobolev
from potstill.networks import create
from potstill.schedules import from_epoch
from potstill.term import Term


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return {
        "images": torch.randn(6, 3, 8, 8, generator=generator),
        "labels": torch.arange(6) % 10,
        "index": torch.arange(6),
    }


def make(seed=0):
    return create("resnet8", seed=seed)


def ce(**settings):
    return Term(CE(), "student", "labels", **settings)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(before, after):
    for name, value in before.items():
        assert torch.equal(value, after[name]), name


def test_total_is_the_weighted_sum_of_the_unweighted_values(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    kd = Term(KD(), "student", "teacher", weight=0.9)
    at = Term(AT(), "student.stage3", "teacher.stage3", weight=1000)
    distiller = Distiller(networks, [ce(weight=0.1), kd, at], example=batch)
    total, values = distiller(batch)
    assert list(values) == ["CE student", "KD student", "AT student.stage3"]
    expected = 0.1 * values["CE student"] + 0.9 * values["KD student"] + 1000 * values["AT student.stage3"]
    torch.testing.assert_close(total, expected)
    assert not any(value.requires_grad for value in values.values())


def test_accepts_pairs(batch):
    pair = (batch["images"], batch["labels"])
    distiller = Distiller({"student": make()}, [ce()], example=pair)
    torch.testing.assert_close(distiller(pair)[0], distiller(batch)[0])
    with pytest.raises(BadInput, match=r"or images alone, not a list of 3 \(Tensor, int, str\)"):
        distiller([batch["images"], 1, "a"])


@pytest.mark.parametrize("both", [False, True])
def test_gradients_reach_the_first_input_only_unless_both(batch, both):
    networks = {"light": make(0), "booster": make(1)}
    terms = [Term(F.mse_loss, "light", "booster", both=both), Term(F.cross_entropy, "booster", "labels", weight=0)]
    Distiller(networks, terms, example=batch)(batch)[0].backward()
    assert all(parameter.grad is not None for parameter in networks["light"].parameters())
    assert all((parameter.grad is not None) == both for parameter in networks["booster"].parameters())


def test_learners_take_turns_if_they_alternate(batch):
    terms = [
        Term(F.cross_entropy, "a", "labels", name="ce a"),
        Term(F.cross_entropy, "b", "labels", name="ce b"),
        Term(F.mse_loss, "a", "b", name="a from b"),
        Term(F.mse_loss, "b", "a", name="b from a"),
    ]
    networks = {"a": make(0), "b": make(1)}
    assert Distiller(networks, terms, example=batch).turns == [[0, 1, 2, 3]]
    distiller = Distiller(networks, terms, example=batch, alternate=True)
    assert distiller.turns == [[0, 2], [1, 3]]
    total, values = distiller(batch, distiller.turns[1])
    assert list(values) == ["ce b", "b from a"]
    total.backward()
    assert all(parameter.grad is None for parameter in networks["a"].parameters())
    assert all(parameter.grad is not None for parameter in networks["b"].parameters())


def test_a_learner_that_is_only_looked_at_keeps_no_graph(batch):
    networks = {"a": make(0), "b": make(1)}
    terms = [Term(F.mse_loss, "a", "b"), Term(F.cross_entropy, "b", "labels", weight=0)]
    distiller = Distiller(networks, terms, example=batch)
    graphs = {}
    for name, network in networks.items():
        network.register_forward_hook(lambda _, args, output, name=name: graphs.update({name: output.requires_grad}))
    distiller(batch)
    assert graphs == {"a": True, "b": False}


def test_a_tuple_of_addresses_arrives_as_a_tuple(batch):
    seen = []

    def pairwise(maps, others):
        seen.append([len(maps), others[0].requires_grad])
        return sum(m.mean() - o.mean() for m, o in zip(maps, others, strict=True))

    stages = ("student.stage1", "student.stage2")
    distiller = Distiller({"student": make()}, [Term(pairwise, stages, stages)], example=batch)
    distiller(batch)[0].backward()
    assert seen == [[2, False]]


def test_each_network_runs_once_and_unmentioned_ones_not_at_all(batch):
    networks = {"student": make(), "teacher": freeze(make(1)), "idle": freeze(make(2))}
    terms = [ce(), Term(KD(), "student", "teacher"), Term(AT(), "student.stage1", "teacher.stage1")]
    distiller = Distiller(networks, terms, example=batch)
    calls = []
    for name, network in networks.items():
        network.register_forward_hook(lambda *_, name=name: calls.append(name))
    distiller(batch)
    assert calls == ["teacher", "student"]


def test_building_and_checking_changes_no_statistic_no_mode_and_no_random_state(batch):
    student = make()
    before, random = state(student), torch.get_rng_state()
    networks = {"student": student, "teacher": freeze(create("resnet8x4", seed=1))}
    term = Term(FitNet(), "student.stage2", "teacher.stage2")
    Distiller(networks, [ce(), term], example=batch)
    assert_same(before, state(student))
    assert torch.equal(random, torch.get_rng_state())
    assert student.training


def test_what_a_loss_builds_is_trained_and_saved(batch):
    networks = {"student": make(), "teacher": freeze(create("resnet8x4", seed=1))}
    distiller = Distiller(networks, [Term(FitNet(), "student.stage2", "teacher.stage2")], example=batch)
    assert "losses.0.loss.regressor.conv.weight" in distiller.state_dict()
    trained = {name for name, parameter in distiller.named_parameters() if parameter.requires_grad}
    assert {"losses.0.loss.regressor.conv.weight", "networks.student.conv1.weight"} <= trained
    assert not any("teacher" in name for name in trained)


def test_a_teacher_stays_in_eval_mode_and_bit_identical(batch):
    teacher = freeze(create("resnet8", seed=1))
    before = state(teacher)
    distiller = Distiller({"student": make(), "teacher": teacher}, [Term(KD(), "student", "teacher")], example=batch)
    distiller.train()
    assert distiller.networks["student"].training
    assert not any(module.training for module in teacher.modules())
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        distiller(batch)[0].backward()
        optimizer.step()
    assert_same(before, state(teacher))


def test_weight_zero_skips_the_term_even_if_it_is_nan(batch):
    def poison(student, teacher):
        return (student * teacher).sum() * float("nan")

    networks = {"student": make(), "teacher": freeze(make(1))}
    distiller = Distiller(networks, [ce(), Term(poison, "student", "teacher", weight=0)], example=batch)
    total, values = distiller(batch)
    assert total.isfinite()
    assert list(values) == ["CE student"]


def test_schedules_switch_terms_on(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    kd = Term(KD(), "student", "teacher", weight=from_epoch(0.5, start=2))
    distiller = Distiller(networks, [ce(), kd], example=batch)
    for epoch, names in [(0, ["CE student"]), (1, ["CE student"]), (2, ["CE student", "KD student"])]:
        distiller.set_epoch(epoch)
        assert list(distiller(batch)[1]) == names
    with pytest.raises(BadInput, match="every term has weight 0"):
        Distiller({"student": make()}, [ce(weight=from_epoch(1, start=5))], example=batch)


def test_two_terms_of_one_name_are_refused(batch):
    with pytest.raises(BadInput, match="two terms are called 'CE student'"):
        Distiller({"student": make()}, [ce(), ce()], example=batch)
    Distiller({"student": make()}, [ce(), ce(name="again")], example=batch)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("studnt", "did you mean student"),
        ("lables", "did you mean labels"),
        ("student.layr3", "nearest: student.layer3"),
    ],
)
def test_addresses_that_do_not_exist_name_the_nearest(batch, address, message):
    with pytest.raises(BadInput, match=message):
        Distiller(
            {"student": make()},
            [Term(F.cross_entropy, "student", "labels"), Term(F.mse_loss, address, "student")],
            batch,
        )


def test_losses_compute_in_float32_outside_autocast(batch):
    dtypes = []

    def loss(student, teacher, features):
        dtypes.extend([student.dtype, features.dtype, (features @ features.T).dtype])
        return KD()(student, teacher)

    networks = {"student": make(), "teacher": freeze(make(1))}
    terms = [Term(loss, "student", "teacher", "student.pooled")]
    distiller = Distiller(networks, terms, example=batch)
    dtypes.clear()
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = distiller(batch)
    assert dtypes == [torch.float32] * 3
    assert total.dtype == torch.float32


def test_kl_of_equal_networks_is_not_negative_under_bf16(batch):
    networks = {"student": make(), "teacher": freeze(make(0))}
    distiller = Distiller(networks, [Term(KD(), "student", "teacher")], example=batch).eval()
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = distiller(batch)
    assert total >= 0


def test_float64_networks_get_float64_weights(batch):
    distiller = Distiller({"student": make().double()}, [ce(weight=0.1)], {**batch, "images": batch["images"].double()})
    assert distiller.weights.dtype == torch.float64
    assert distiller.weights.tolist() == [0.1]


def test_anyones_own_loop(batch):
    distiller = Distiller(
        {"student": make(), "teacher": freeze(make(1))}, [ce(), Term(KD(), "student", "teacher")], batch
    )
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05)
    totals = []
    for _ in range(5):
        total, _ = distiller(batch)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(total.item())
    assert totals[-1] < totals[0]


def test_compiling_the_networks_gives_the_same_numbers(batch):
    def total(compiled):
        networks = {"student": make(), "teacher": freeze(make(1))}
        terms = [ce(), Term(AT(), "student.stage2", "teacher.stage2", weight=10)]
        distiller = Distiller(networks, terms, example=batch)
        if compiled:
            for network in networks.values():
                network.compile(backend="aot_eager")
        value = distiller(batch)[0]
        value.backward()
        return value, networks["student"].conv1.weight.grad

    for plain, compiled in zip(total(False), total(True), strict=True):
        torch.testing.assert_close(compiled, plain)


def test_a_changed_weight_recompiles_nothing(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    kd = Term(KD(), "student", "teacher", weight=lambda epoch: 1 + epoch)
    distiller = Distiller(networks, [ce(), kd], example=batch)
    counter = torch._dynamo.testing.CompileCounter()
    for network in networks.values():
        network.compile(backend=counter)
    for epoch in range(4):
        distiller.set_epoch(epoch)
        distiller(batch)
    assert counter.frame_count == len(networks)


def test_term_needs_an_address():
    with pytest.raises(BadInput, match="address"):
        Term(nn.MSELoss())


class Picky(nn.Module):
    """A loss that takes maps only, and fails in its own ways."""

    def __init__(self, error=None, at="forward"):
        super().__init__()
        self.error, self.at, self.calls = error, at, 0

    def build(self, student, teacher):
        if self.at == "build":
            raise self.error

    def forward(self, student, teacher):
        self.calls += 1
        if self.error is not None and self.at == self.calls:
            raise self.error
        return (student.flatten(2) @ teacher.flatten(2)).mean()


def picky(batch, *error, at="forward"):
    networks = {"student": make(), "teacher": freeze(make(1))}
    return Distiller(networks, [Term(Picky(*error, at=at), "student.stage1", "teacher.stage1")], example=batch)


def test_a_loss_that_cannot_take_its_tensors_names_both_and_their_shapes(batch):
    given = (
        r"^term 'Picky student\.stage1' cannot take student\.stage1 \({0}, 16, 8, 8\), "
        r"teacher\.stage1 \({0}, 16, 8, 8\): "
    )
    with pytest.raises(BadInput, match=given.format(6) + "Expected size"):
        picky(batch)(batch)
    with pytest.raises(BadInput, match=given.format(2) + r"no room \(.*test_distiller.py, line \d+\)$"):
        picky(batch, ValueError("no room\nand more"), at="build")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("at", ["build", 1])
def test_errors_that_are_nobodys_fault_stay_as_they_are(batch, error, at):
    with pytest.raises(type(error)) as raised:
        picky(batch, error, at=at)(batch)
    assert raised.value is error


@pytest.mark.parametrize("at", ["build", 1])
def test_a_losss_own_errors_name_their_line(batch, at):
    message = r"^term 'Picky .*' cannot take .*: KeyError: 'x' \(.*test_distiller.py, line \d+\)$"
    with pytest.raises(BadInput, match=message):
        picky(batch, KeyError("x"), at=at)(batch)


def test_later_errors_of_a_loss_are_not_about_its_inputs(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    error = RuntimeError("in the second step")
    term = Term(Picky(error, at=2), "student.stage1", "teacher.stage3")
    distiller = Distiller(networks, [term], example=batch)
    distiller(batch)
    message = (
        r"^term 'Picky student.stage1' failed: RuntimeError: in the second step \(.*test_distiller.py, line \d+\)$"
    )
    with pytest.raises(BadInput, match=message):
        distiller(batch)


class Calls(nn.Module):
    """A network that notes what it is called with."""

    def __init__(self, name, calls, width=10):
        super().__init__()
        self.name, self.calls = name, calls
        self.fc = nn.Linear(192, width)

    def forward(self, images):
        self.calls.append((self.name, round(float(images.sum()), 3), len(images)))
        return self.fc(images.flatten(1))


def test_each_pair_of_network_and_input_runs_once_a_batch_frozen_ones_first(batch):
    calls = []
    batch["strong"] = batch["images"] + 1
    networks = {"student": Calls("student", calls), "teacher": freeze(Calls("teacher", calls))}
    terms = [
        ce(),
        Term(F.mse_loss, "student", "student@strong", name="consistent"),
        Term(KD(), "student@strong", "teacher"),
        Term(F.mse_loss, "student@strong.fc:in", "teacher@strong.fc:in", name="inputs"),
    ]
    distiller = Distiller(networks, terms, example=batch)
    calls.clear()
    total, values = distiller(batch)
    plain, strong = (round(float(batch[key].sum()), 3) for key in ("images", "strong"))
    assert calls == [("teacher", plain, 6), ("teacher", strong, 6), ("student", plain, 6), ("student", strong, 6)]
    assert values["inputs"] == 0
    student = networks["student"]
    expected = KD()(student(batch["strong"]), networks["teacher"](batch["images"]))
    torch.testing.assert_close(values["KD student@strong"], expected.detach())
    total.backward()
    assert student.fc.weight.grad.abs().sum() > 0


def test_the_usual_input_by_its_name_is_no_other_pass(batch):
    calls = []
    networks = {"student": Calls("student", calls), "teacher": freeze(Calls("teacher", calls))}
    batch["large"] = batch["images"] * 2
    terms = [
        Term(CE(), "student@images", "labels"),
        Term(F.mse_loss, "student", "student@images.fc", name="same"),
        Term(F.mse_loss, "student", "teacher@large"),
        Term(F.mse_loss, "student.fc:in", "teacher.fc:in", name="inputs"),
    ]
    distiller = Distiller(networks, terms, batch, inputs={"teacher": "large"})
    calls.clear()
    _, values = distiller(batch)
    assert [name for name, *_ in calls] == ["teacher", "student"]
    assert values["same"] == 0
    assert list(distiller.classifiers) == ["student", "teacher"]


def test_a_network_runs_on_another_ones_output_and_gradients_go_through(batch):
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, noise):
            return noise * self.scale

    batch["noise"] = torch.randn(6, 3, 8, 8)
    networks = {"student": make(), "generator": Generator(), "teacher": freeze(make(1))}
    terms = [Term(KD(), "student@generator", "teacher@generator")]
    distiller = Distiller(networks, terms, batch, inputs={"generator": "noise"})
    distiller(batch)[0].backward()
    assert networks["generator"].scale.grad is not None
    assert networks["student"].conv1.weight.grad is not None
    networks["generator"].requires_grad_(False)
    fixed = Distiller(networks, terms, batch, inputs={"generator": "noise"})
    fixed.zero_grad()
    fixed(batch)[0].backward()
    assert networks["student"].conv1.weight.grad is not None


def test_a_network_may_have_another_usual_input_or_several(batch):
    class Sum(nn.Module):
        def forward(self, one, other):
            return one + other

    batch["large"] = torch.randn(6, 3, 16, 16)
    networks = {"student": make(), "teacher": freeze(make(1)), "sum": Sum()}
    terms = [ce(), Term(F.mse_loss, "student", "sum"), Term(KD(), "student", "teacher@images")]
    inputs = {"teacher": "large", "sum": ("teacher", "teacher@images")}
    distiller = Distiller(networks, terms, batch, inputs=inputs)
    _, values = distiller(batch)
    teacher, student = networks["teacher"], networks["student"]
    expected = F.mse_loss(student(batch["images"]), teacher(batch["large"]) + teacher(batch["images"]))
    torch.testing.assert_close(values["mse_loss student"], expected.detach())


@pytest.mark.parametrize(
    ("terms", "inputs", "message"),
    [
        ([Term(F.mse_loss, "student@strnog", "student")], {}, "unknown input of 'student@strnog' 'strnog'.*strong"),
        ([Term(F.mse_loss, "student", "techer")], {}, "unknown address 'techer'; did you mean teacher"),
        ([Term(F.mse_loss, "student", "teacher#2")], {}, "no part 'teacher#2'"),
        ([Term(F.mse_loss, "student", "teacher.fc.wieght")], {}, "nearest: teacher.fc.weight"),
        ([Term(F.mse_loss, "student", "teacher")], {"techer": "strong"}, "did you mean teacher"),
        (
            [Term(F.mse_loss, "student", "teacher")],
            {"teacher": "strnog"},
            "unknown address 'strnog'; did you mean strong",
        ),
        ([Term(F.mse_loss, "student", "teacher")], {"teacher": "student@teacher"}, "need each other: "),
    ],
)
def test_inputs_and_parts_that_do_not_exist_name_the_nearest(batch, terms, inputs, message):
    batch["strong"] = batch["images"]
    networks = {"student": make(), "teacher": freeze(make(1))}
    with pytest.raises(BadInput, match=message):
        Distiller(networks, terms, batch, inputs=inputs)


def test_a_parameter_is_detached_unless_it_comes_first_and_needs_no_pass(batch):
    calls = []
    networks = {"student": Calls("student", calls), "teacher": freeze(Calls("teacher", calls))}
    terms = [ce(), Term(F.mse_loss, "student.fc.weight", "teacher.fc.weight")]
    distiller = Distiller(networks, terms, batch)
    calls.clear()
    distiller(batch)[0].backward()
    assert [name for name, *_ in calls] == ["student"]
    assert networks["student"].fc.weight.grad is not None
    assert networks["teacher"].fc.weight.grad is None


def test_epoch_and_progress_are_scalars_on_the_device(batch):
    def ramped(student, epoch, progress):
        seen.append((epoch, progress))
        return student.mean() * epoch * progress

    seen = []
    distiller = Distiller({"student": make()}, [ce(), Term(ramped, "student", "epoch", "progress")], batch)
    distiller.set_epoch(3)
    distiller.progress.fill_(0.5)
    distiller(batch)
    assert [value.item() for value in seen[-1]] == [3.0, 0.5]
    assert all(value.shape == () and value.device == distiller.weights.device for value in seen[-1])
    assert not {"epoch", "progress", "weights"} & distiller.state_dict().keys()


def test_heads_that_appear_in_train_mode_only(batch):
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = make(), nn.Linear(192, 10)

        def forward(self, images):
            logits = self.body(images)
            return (logits, self.head(images.flatten(1))) if self.training else logits

    student = Auxiliary()
    before = state(student)
    distiller = Distiller({"student": student}, [ce(), Term(CE(), "student#1", "labels")], batch)
    assert_same(before, state(student))
    assert student.training
    distiller(batch)[0].backward()
    assert student.head.weight.grad is not None
    assert student.body.conv1.weight.grad is not None
    assert list(distiller.classifiers) == ["student"]


def test_a_learner_that_nothing_trains_is_a_mistake(batch):
    with pytest.raises(BadInput, match=r"teacher has trainable parameters, but no term trains it.*freeze\(teacher\)"):
        Distiller({"student": make(), "teacher": make(1)}, [ce(), Term(KD(), "student", "teacher")], batch)


def test_a_term_that_trains_nothing_is_a_mistake(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    swapped = Term(KD(), "teacher", "student")
    with pytest.raises(
        BadInput, match="term 'KD teacher' trains nothing.*'teacher' is frozen; the student comes first"
    ):
        Distiller(networks, [ce(), swapped], batch)
    Distiller(networks, [ce(), Term(FitNet(regressor=True), "teacher.stage1", "student.stage1")], batch)


def test_a_class_is_no_loss():
    with pytest.raises(BadInput, match=r"AT is a class, not a loss: write Term\(AT\(\), \.\.\.\)"):
        Term(AT, "student.stage1", "teacher.stage1")


@pytest.mark.parametrize(
    ("reduce", "found"),
    [
        (lambda x: x.mean(dim=1), r"shape \(6,\)"),
        (lambda x: x.mean().item(), "float"),
        (lambda x: x.mean()[None], r"shape \(1,\)"),
    ],
)
def test_a_loss_returns_one_number(batch, reduce, found):
    distiller = Distiller({"student": make()}, [Term(reduce, "student", name="odd")], batch)
    with pytest.raises(BadInput, match=f"term 'odd' cannot take .* a loss returns one number, .* not {found}"):
        distiller(batch)


def test_only_networks_that_see_the_images_are_known_as_such(batch):
    networks = {"student": make(), "other": make(1)}
    terms = [ce(), Term(CE(), "other", "labels")]
    entries = {**batch, "strong": batch["images"]}
    assert Distiller(networks, terms, batch).of_images == {"student", "other"}
    assert Distiller(networks, terms, entries, inputs={"other": "strong"}).of_images == {"student"}


def test_attention_runs_as_is_fastest_unless_its_gradients_are_differentiated(batch):
    class Attentive(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.seen = make(), []

        def forward(self, images):
            self.seen.append(set(_cur_sdpa_kernel_backends()))
            return self.body(images)

    usual = set(_cur_sdpa_kernel_backends())
    plain, twice = Attentive(), Attentive()
    Distiller({"student": plain}, [ce()], batch)(batch)
    terms = [ce(), Term(Sobolev(), "student", "teacher", "labels", "images")]
    networks = {"student": twice, "teacher": freeze(make(1))}
    Distiller(networks, terms, batch)(batch)
    assert plain.seen[-1] == usual != {SDPBackend.MATH}
    assert twice.seen[-1] == {SDPBackend.MATH}


def test_the_pass_of_an_address(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    distiller = Distiller(
        networks, [ce(), Term(KD(), "student@strong.pooled", "teacher.pooled")], {**batch, "strong": batch["images"]}
    )
    keys = [distiller.passes.key_of(text) for text in ("student", "student@strong.pooled", "teacher.pooled", "labels")]
    assert keys == ["student", "student@strong", "teacher", None]


def test_what_answers_a_pass_is_asked_instead_of_the_network(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    distiller = Distiller(networks, [ce(), Term(KD(), "student", "teacher")], batch)
    answers = {"teacher": torch.randn(6, 10)}
    distiller.answered["teacher"] = lambda values: answers if values["images"] is batch["images"] else {}
    _, values = distiller(batch)
    torch.testing.assert_close(values["KD student"], KD()(networks["student"](batch["images"]), answers["teacher"]))
    sobolev = Term(Sobolev(), "student", "teacher", "labels", "images")
    distiller = Distiller(networks, [ce(), sobolev], batch)
    _, asked = distiller(batch)
    distiller.answered["teacher"] = lambda values: answers  # which no gradient leads through
    assert torch.equal(distiller(batch)[1]["Sobolev student"], asked["Sobolev student"])


def test_of_several_processes_each_term_is_this_ones_share(batch):
    class Team:
        def given(self, one, values):
            return nullcontext(values)

        def computing(self, term, values):
            return nullcontext(values)

        def share(self, term, values):
            assert torch.equal(values["labels"], batch["labels"])
            return {"CE student": 0.25, "KD student": 0.5}[term.name]

    networks = {"student": make(), "teacher": freeze(make(1))}
    distiller = Distiller(networks, [ce(weight=3), Term(KD(), "student", "teacher", weight=2)], batch)
    _, alone = distiller(batch)
    distiller.team = Team()
    total, values = distiller(batch)
    assert values == {"CE student": 0.25 * alone["CE student"], "KD student": 0.5 * alone["KD student"]}
    torch.testing.assert_close(total, 3 * values["CE student"] + 2 * values["KD student"])


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([("student", 0), ("student", 1)], "two networks are called 'student'"),
        ([("student", 0), ("labels", 1)], "'labels' is an entry of the batch, too; call the network otherwise"),
        ([("student", 0), ("progress", 1)], "'progress' is an entry that every batch has"),
        ([("student", 0), ("a.b", 1)], "a network cannot be called 'a.b'"),
        ([("student", 0), ("items", 1)], "a network cannot be called 'items'"),
    ],
)
def test_names_that_would_hide_each_other_are_refused(batch, networks, message):
    with pytest.raises(BadInput, match=message):
        Distiller([(name, freeze(make()) if seed else make()) for name, seed in networks], [ce()], batch)


CLASSIFIERS = {
    "ce": ([ce()], ["student"]),
    "joined through logits": ([ce(), Term(KD(), "student", "teacher")], ["student", "teacher"]),
    "by a loss with labels": ([Term(KD(guided=True), "student", "teacher", "labels")], ["student", "teacher"]),
    "a teacher of features": ([ce(), Term(AT(), "student.stage1", "teacher.stage1")], ["student"]),
    "of other classes": ([ce(), Term(lambda s, w: s.mean() * w.mean(), "student", "wide", name="w")], ["student"]),
    "nobody": ([Term(F.mse_loss, "student", "teacher")], []),
    "another input": ([Term(CE(), "student@strong", "labels")], ["student"]),
}


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifiers_are_joined_with_labels(batch, case):
    batch["strong"] = batch["images"]
    networks = {"student": make(), "teacher": freeze(make(1)), "wide": freeze(create("resnet8", classes=100))}
    terms, expected = CLASSIFIERS[case]
    assert list(Distiller(networks, terms, batch).classifiers) == expected
    assert list(Distiller(networks, terms, batch, classifiers=["teacher"]).classifiers) == ["teacher"]
    with pytest.raises(BadInput, match="unknown classifier 'techer'; did you mean teacher"):
        Distiller(networks, terms, batch, classifiers=["techer"])


def hooks_of(*modules):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for module in modules for m in module.modules())


def distilled(batch, **networks):
    networks = networks or {"student": make(), "teacher": freeze(make(1))}
    hint = Term(FitNet(regressor=True), "student.stage2", "teacher.stage2")
    return Distiller(networks, [ce(), hint, Term(F.mse_loss, "student.pooled", "teacher.fc:in")], batch)


def test_three_distillers_in_a_row_leave_no_hook(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    for _ in range(3):
        with distilled(batch, **networks) as distiller:
            assert hooks_of(*networks.values()) == 4
            distiller(batch)
        assert hooks_of(*networks.values()) == 0


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "torch.save": lambda value: saved_and_loaded(value),
}


def saved_and_loaded(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", COPIES)
def test_student_and_distiller_survive_copies(batch, way):
    distiller = distilled(batch)
    distiller(batch)
    student = COPIES[way](distiller.networks["student"])
    assert_same(state(distiller.networks["student"]), state(student))
    student(batch["images"])  # its hooks record nothing

    again = COPIES[way](distiller)
    torch.testing.assert_close(again.eval()(batch), distiller.eval()(batch), rtol=0, atol=0)
    again(batch)[0].backward()
    assert again.networks["student"].conv1.weight.grad is not None
    assert distiller.networks["student"].conv1.weight.grad is None
    again.close()
    assert hooks_of(again.networks) == 0
    assert hooks_of(distiller.networks) == 4


def test_the_state_has_no_frozen_teacher_unless_asked(batch):
    distiller = distilled(batch)
    keys = distiller.state_dict()
    assert any(key.startswith("networks.student.") for key in keys)
    assert any(key.startswith("losses.1.") for key in keys)
    assert not any("teacher" in key for key in keys)
    assert any("teacher" in key for key in distiller.state_dict(teachers=True))
    other = distilled(batch, student=make(5), teacher=freeze(make(1)))
    other.load_state_dict(keys)
    assert_same(keys, other.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({key: value for key, value in keys.items() if "conv1" not in key})
    holder = nn.ModuleList([distiller])
    assert not any("teacher" in key for key in holder.state_dict())


@pytest.fixture
def process_group():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
    yield
    torch.distributed.destroy_process_group()


WRAPPERS = {
    "data parallel": nn.DataParallel,
    "distributed": nn.parallel.DistributedDataParallel,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled and distributed": lambda net: nn.parallel.DistributedDataParallel(torch.compile(net, backend="eager")),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrapped_students_keep_their_taps(batch, wrap, process_group):
    plain = distilled(batch)
    expected = plain(batch)
    expected[0].backward()
    wrapped = distilled(batch, student=wrap(make()), teacher=freeze(make(1)))
    total, values = wrapped(batch)
    torch.testing.assert_close((total, values), expected)
    total.backward()
    gradients = [parameter.grad for parameter in wrapped.networks["student"].parameters()]
    torch.testing.assert_close(gradients, [parameter.grad for parameter in plain.networks["student"].parameters()])
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_the_auxiliary_heads_of_googlenet():
    student = torchvision.models.googlenet(num_classes=10, aux_logits=True)
    batch = {"images": torch.randn(2, 3, 96, 96), "labels": torch.tensor([1, 2])}
    heads = [Term(CE(), f"student#{part}", "labels", weight=0.3) for part in ("aux_logits1", "1")]  # 1: aux_logits2
    terms = [ce(), *heads]
    distiller = Distiller({"student": student}, terms, batch)
    distiller(batch)[0].backward()
    assert all(head.fc2.weight.grad.abs().sum() > 0 for head in (student.aux1, student.aux2))


def test_a_term_is_scaled_in_a_new_term():
    term = Term(KD(), "student", "teacher", weight=0.9, both=True, name="k")
    half = term.scaled(0.5)
    assert (half.weight, half.name, half.both, half.addresses) == (0.45, "k", True, ("student", "teacher"))
    assert term.weight == 0.9
    late = pickle.loads(pickle.dumps(Term(KD(), "student", "teacher", weight=from_epoch(1.0, 2)).scaled(0.5, name="l")))
    assert [late.weight_at(epoch) for epoch in (1, 2)] == [0, 0.5]
    assert late.name == "l"


def made_before(distiller):
    return [*distiller.networks["student"].parameters()]


def made_after(distiller):
    return [p for p in distiller.parameters() if p.requires_grad]


@pytest.mark.parametrize("settings", [{}, {"foreach": True}, {"momentum": 0.9}])
def test_an_optimiser_without_the_losses_parts_is_a_mistake(batch, settings):
    def train(parameters, steps=5, accumulate=1):
        networks = {"student": make(), "teacher": freeze(create("resnet8x4", seed=1))}
        distiller = Distiller(networks, [ce(), Term(FitNet(), "student.stage2", "teacher.stage2")], batch)
        optimizer = torch.optim.SGD(parameters(distiller), lr=0.01, **settings)
        for step in range(steps):
            distiller(batch)[0].backward()
            if step % accumulate == accumulate - 1:
                optimizer.step()
                optimizer.zero_grad()

    train(made_after)
    train(made_after, steps=10, accumulate=2)
    with pytest.raises(BadInput, match=r"term 'FitNet student.stage2' has built does not train.*distiller\.parameters"):
        train(made_before)
    with pytest.raises(BadInput, match="does not train"):
        train(made_before, steps=10, accumulate=2)


def test_a_term_that_has_not_begun_is_not_missed(batch):
    networks = {"student": make(), "teacher": freeze(create("resnet8x4", seed=1))}
    late = Term(FitNet(), "student.stage2", "teacher.stage2", weight=from_epoch(1.0, 1))
    distiller = Distiller(networks, [ce(), late], batch)
    optimizer = torch.optim.SGD(made_after(distiller), lr=0.01)
    for epoch in (0, 0, 0, 0, 0, 1, 1, 1, 1, 1):
        distiller.set_epoch(epoch)
        distiller(batch)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    distiller.eval()(batch)


def test_what_is_no_network_and_no_term_is_named(batch):
    with pytest.raises(BadInput, match="network 'teacher' is a function, not a torch.nn.Module"):
        Distiller({"student": make(), "teacher": lambda images: images}, [ce()], batch)
    with pytest.raises(BadInput, match=r"minimises terms, not a CE; write Term\(CE\(\), 'student'"):
        Distiller({"student": make()}, [CE()], batch)
    with pytest.raises(BadInput, match="3 is no address"):
        Term(CE(), "student", 3)
