import pytest
import torch
import torch.nn.functional as F
from torch import nn

from potstill.distiller import Distiller, freeze
from potstill.errors import BadInput
from potstill.losses import AT, CE, KD, FitNet
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
    with pytest.raises(BadInput, match=given.format(2) + "no room$"):
        picky(batch, ValueError("no room\nand more"), at="build")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory"), KeyError("x")]
)
@pytest.mark.parametrize("at", ["build", 1])
def test_errors_that_are_not_about_a_losss_tensors_stay_as_they_are(batch, error, at):
    with pytest.raises(type(error)) as raised:
        picky(batch, error, at=at)(batch)
    assert raised.value is error


def test_later_errors_of_a_loss_stay_as_they_are(batch):
    networks = {"student": make(), "teacher": freeze(make(1))}
    error = RuntimeError("in the second step")
    term = Term(Picky(error, at=2), "student.stage1", "teacher.stage3")
    distiller = Distiller(networks, [term], example=batch)
    distiller(batch)
    with pytest.raises(RuntimeError) as raised:
        distiller(batch)
    assert raised.value is error
